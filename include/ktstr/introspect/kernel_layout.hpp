// SPDX-License-Identifier: Apache-2.0
/// \file
/// Where a running x86_64 Linux has its image and its direct map: what a debugger needs to open a core of it.
///
/// Source: linux 6.12 Documentation/arch/x86/x86_64/mm.rst; arch/x86/mm/kaslr.c (page_offset_base); arch/x86/mm/init_64.c.
#pragma once

#include "ktstr/arch/x86_64/paging.hpp"
#include "ktstr/base/checked.hpp"
#include "ktstr/base/endian.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/introspect/symbols/source.hpp"
#include "ktstr/introspect/virtual_memory.hpp"
#include "ktstr/mem/guest_memory.hpp"

#include <cstdint>

namespace ktstr {

/// Where a kernel lies.
struct kernel_layout {
    gva text_virtual{};       ///< Of the image's first byte: _text rounded down to 2 MiB.
    gpa text_physical{};      ///< Of the same byte.
    bytes text_size{};        ///< From there to _end, in whole pages of 4 KiB.
    gva direct_map{};         ///< Where physical address 0 is mapped (page_offset_base).
    x86_page_tables tables{}; ///< With which all this was read: those of the kernel, even where a vCPU ran user code.
    friend constexpr bool operator==(kernel_layout const&, kernel_layout const&) noexcept = default;
};

namespace detail {
/// Where the direct map starts unless it was randomised (CONFIG_RANDOMIZE_MEMORY off).
inline constexpr gva default_direct_map_4{0xffff'8880'0000'0000};
inline constexpr gva default_direct_map_5{0xff11'0000'0000'0000};

template <SymbolSource S, GuestMemory M>
[[nodiscard]] result<kernel_layout> kernel_layout_with(S const& symbols, M const& memory, x86_page_tables const& tables) noexcept {
    auto const text = symbols.find("_text");
    auto const end = symbols.find("_end");
    if (!text || !end)
        return fail(errc::not_found, "kernel_layout.symbols");
    kernel_layout out;
    out.tables = tables;
    out.text_virtual = gva{align_down(text->address.raw, 2 * MiB)};
    auto const whole = align_up(end->address - out.text_virtual, 4 * KiB);
    if (end->address < text->address || !whole || *whole > 1 * GiB)
        return fail(errc::bad_format, "kernel_layout.end", end->address.raw);
    out.text_size = bytes{*whole};
    KTSTR_TRY(auto const image, translate(memory, tables, out.text_virtual));
    if (image.address.raw % (2 * MiB) != 0)
        return fail(errc::bad_format, "kernel_layout.text", image.address.raw);
    out.text_physical = image.address;

    out.direct_map = tables.la57 ? default_direct_map_5 : default_direct_map_4;
    if (auto const variable = symbols.find("page_offset_base")) {
        KTSTR_TRY(auto const value, load_virtual<le64>(memory, tables, variable->address));
        out.direct_map = gva{value};
    }
    // The image is RAM, so the direct map has it a second time: whatever the variable says is proved or refused by that.
    auto const twin = translate(memory, tables, out.direct_map + out.text_physical.raw);
    if (!twin || twin->address != out.text_physical)
        return fail(errc::bad_format, "kernel_layout.direct_map", out.direct_map.raw);
    return out;
}
} // namespace detail

/// Finds the kernel's place. `symbols` have the addresses of the running kernel (`slid_symbols`); `tables` are those of any
/// vCPU, in the kernel or in user code (with page table isolation the kernel's own tables lie in the page before). Errors
/// are those of `translate`; `errc::not_found` at "kernel_layout.symbols" without _text and _end; `errc::bad_format` at
/// "kernel_layout.end", "kernel_layout.text" or "kernel_layout.direct_map" when what was found contradicts itself: the
/// guest is in early boot, or the symbols are of another kernel.
template <SymbolSource S, GuestMemory M>
[[nodiscard]] result<kernel_layout> read_kernel_layout(S const& symbols, M const& memory, x86_page_tables const& tables) noexcept {
    auto out = detail::kernel_layout_with(symbols, memory, tables);
    if (!out && (tables.root.raw & x86::cr3_user_table) != 0)
        if (auto other = detail::kernel_layout_with(symbols, memory, {gpa{tables.root.raw & ~x86::cr3_user_table}, tables.la57}))
            return other;
    return out;
}

} // namespace ktstr
