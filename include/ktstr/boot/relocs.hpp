// SPDX-License-Identifier: Apache-2.0
/// \file
/// The relocation tables that the x86 kernel build appends to vmlinux inside a bzImage, and their use.
///
/// Source: linux arch/x86/boot/compressed/misc.c handle_relocations(), arch/x86/tools/relocs.c. Layout, 32-bit words:
///     0, places of 64-bit addresses...,  [0, places of negated 32-bit addresses...,]  0, places of 32-bit addresses...
/// The middle list went away when per-CPU data stopped being linked at 0 (linux 6.15). A place is a kernel virtual
/// address without its upper, all-one half.
#pragma once

#include "ktstr/base/cursor.hpp"
#include "ktstr/base/endian.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/boot/elf_vmlinux.hpp"
#include "ktstr/boot/guest_pieces.hpp"
#include "ktstr/boot/kernel_image.hpp"
#include "ktstr/mem/guest_memory.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace ktstr {

/// The lists of places to patch, each a sequence of le32 words; borrowed.
struct reloc_tables {
    std::span<std::byte const> absolute64{}; ///< 64-bit fields: add the offset.
    std::span<std::byte const> inverse32{};  ///< 32-bit fields: subtract it. Empty since 6.15.
    std::span<std::byte const> absolute32{}; ///< 32-bit fields: add it.

    [[nodiscard]] constexpr bool empty() const noexcept {
        return absolute64.empty() && inverse32.empty() && absolute32.empty();
    }
    /// How many places there are in all.
    [[nodiscard]] constexpr std::size_t count() const noexcept {
        return (absolute64.size() + inverse32.size() + absolute32.size()) / 4;
    }
};

/// Reads the tables from what follows the ELF file in a decompressed payload. Nothing there means no tables, which is
/// no error (a kernel without CONFIG_RELOCATABLE). `errc::bad_format` when the words cannot be tables.
[[nodiscard]] inline result<reloc_tables> parse_relocs(std::span<std::byte const> tail) noexcept {
    if (tail.empty())
        return reloc_tables{};
    if (tail.size() % 4 != 0)
        return fail(errc::bad_format, "relocs.size", tail.size());
    std::array<std::size_t, 3> zeros{};
    std::size_t lists = 0;
    for (std::size_t at = 0; at < tail.size(); at += 4) {
        auto const word = detail::peek<le32>(tail, at).get();
        if (word == 0) {
            if (lists == zeros.size())
                return fail(errc::bad_format, "relocs.lists", at);
            zeros[lists++] = at;
        } else if (lists == 0 || word < 0x8000'0000U) { // places lie in the top 2 GiB
            return fail(errc::bad_format, "relocs.place", at);
        }
    }
    if (lists < 2)
        return fail(errc::bad_format, "relocs.lists", lists);
    reloc_tables out;
    auto const list = [&](std::size_t i, std::size_t end) { return tail.subspan(zeros[i] + 4, end - zeros[i] - 4); };
    out.absolute64 = list(0, zeros[1]);
    if (lists == 3)
        out.inverse32 = list(1, zeros[2]);
    out.absolute32 = list(lists - 1, tail.size());
    return out;
}

namespace detail {
/// Adds `delta` to the `Word` at each place of one list. `start` is where `extent.start` was loaded.
template <class Word, GuestMemory M>
[[nodiscard]] result<> shift_places(M const& memory, gpa_range extent, gpa start, std::span<std::byte const> places,
                                    Word delta) noexcept {
    using stored_word = ktstr::detail::stored<Word, std::endian::little>;
    auto const whole = memory.slice(start, extent.size.raw); // the usual case: one piece of RAM
    for (std::size_t at = 0; at < places.size(); at += 4) {
        auto const place = std::uint64_t{peek<le32>(places, at)} - (kernel_map_base & 0xffff'ffffU) - extent.start.raw;
        if (!fits(place, sizeof(Word), extent.size.raw))
            return fail(errc::out_of_range, "relocs.place", place);
        std::array<std::byte, sizeof(Word)> raw;
        if (whole)
            std::memcpy(raw.data(), whole->data() + place, sizeof raw);
        else
            KTSTR_CHECK(read_pieces(memory, start + place, raw));
        stored_word word;
        std::memcpy(static_cast<void*>(&word), raw.data(), sizeof raw);
        word = static_cast<Word>(word + delta);
        if (whole)
            std::memcpy(whole->data() + place, &word, sizeof raw);
        else
            KTSTR_CHECK(write_pieces(memory, start + place, bytes_of(word)));
    }
    return {};
}
} // namespace detail

/// Moves the kernel that was loaded at `start` up by `virt_offset` bytes of virtual address space, in place, as its own
/// decompressor would. `extent` is what it was linked for. `errc::out_of_range` when a place lies outside the kernel;
/// the kernel in memory is then unusable.
template <GuestMemory M>
[[nodiscard]] result<> apply_relocs(M const& memory, gpa_range extent, gpa start, reloc_tables const& tables,
                                    std::uint64_t virt_offset) noexcept {
    auto const low = static_cast<std::uint32_t>(virt_offset);
    KTSTR_CHECK(detail::shift_places<std::uint32_t>(memory, extent, start, tables.absolute32, low));
    KTSTR_CHECK(detail::shift_places<std::uint32_t>(memory, extent, start, tables.inverse32, 0U - low));
    return detail::shift_places<std::uint64_t>(memory, extent, start, tables.absolute64, virt_offset);
}

} // namespace ktstr
