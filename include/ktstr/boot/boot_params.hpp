// SPDX-License-Identifier: Apache-2.0
/// \file
/// Fills the zero page: what an x86 kernel is told about its machine when it is entered in 64-bit mode.
///
/// Source: linux 6.12 Documentation/arch/x86/boot.rst, "64-bit BOOT PROTOCOL".
#pragma once

#include "ktstr/abi/boot_params.hpp"
#include "ktstr/base/checked.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/mem/region.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace ktstr {

/// A range that is RAM to us and not to the kernel.
struct reserved_range {
    gpa_range range{};
    std::uint32_t type = x86_boot::e820_reserved;
};

/// What goes into the zero page.
struct boot_params_config {
    std::optional<x86_boot::setup_header> header{}; ///< The bzImage's; a plain vmlinux has none and one is made up.
    std::span<ram_region const> ram{};              ///< Sorted and disjoint.
    std::span<reserved_range const> reserved{};     ///< Inside or outside RAM, any order, disjoint.
    gpa_range cmdline{};                            ///< Where the command line stands; size without its NUL.
    gpa_range initramfs{};                          ///< Empty: none.
    gpa rsdp{};                                     ///< 0: no ACPI.
    bool kaslr = false;                             ///< The kernel was moved (`loaded_kernel::moved`).
};

namespace detail {
/// RAM minus the reserved ranges, plus the reserved ranges, sorted; pieces of the same type that touch become one.
[[nodiscard]] inline std::vector<x86_boot::e820_entry> make_e820(std::span<ram_region const> ram,
                                                                 std::span<reserved_range const> reserved) {
    std::vector<reserved_range> holes(reserved.begin(), reserved.end());
    std::erase_if(holes, [](reserved_range const& r) { return r.range.size.raw == 0; });
    std::sort(holes.begin(), holes.end(),
              [](reserved_range const& a, reserved_range const& b) { return a.range.start < b.range.start; });
    std::vector<reserved_range> pieces(holes);
    for (auto const& region : ram) {
        auto at = region.range.start.raw;
        auto const end = region.range.end().raw;
        for (auto const& hole : holes) {
            auto const from = hole.range.start.raw;
            auto const to = hole.range.end().raw;
            if (to <= at || from >= end)
                continue;
            if (from > at)
                pieces.push_back({{gpa{at}, bytes{from - at}}, x86_boot::e820_ram});
            at = std::max(at, std::min(to, end));
        }
        if (at < end)
            pieces.push_back({{gpa{at}, bytes{end - at}}, x86_boot::e820_ram});
    }
    std::sort(pieces.begin(), pieces.end(),
              [](reserved_range const& a, reserved_range const& b) { return a.range.start < b.range.start; });
    std::vector<x86_boot::e820_entry> out;
    for (auto const& piece : pieces) {
        if (!out.empty() && out.back().type == piece.type && out.back().address + out.back().size == piece.range.start.raw)
            out.back().size = out.back().size + piece.range.size.raw;
        else
            out.push_back({piece.range.start.raw, piece.range.size.raw, piece.type});
    }
    return out;
}

/// The header that a bzImage of the current protocol would have, for a kernel that came without one.
[[nodiscard]] inline x86_boot::setup_header plain_setup_header() noexcept {
    x86_boot::setup_header out;
    out.boot_flag = x86_boot::boot_flag_value;
    out.header = x86_boot::header_magic;
    out.version = std::uint16_t{0x020f};
    out.loadflags = x86_boot::loaded_high;
    out.xloadflags = static_cast<std::uint16_t>(x86_boot::xlf_kernel_64 | x86_boot::xlf_can_be_above_4g);
    out.kernel_alignment = std::uint32_t{2 * MiB};
    out.relocatable_kernel = 1;
    out.cmdline_size = std::uint32_t{2047};
    out.initrd_addr_max = std::uint32_t{0x7fff'ffff};
    out.pref_address = std::uint64_t{16 * MiB};
    return out;
}
} // namespace detail

/// The zero page for `config`. `errc::no_space` with the limit at "boot_params.cmdline" when the command line is longer
/// than this kernel takes, at "boot_params.e820" when the memory map has more than 128 lines; `errc::out_of_range` at
/// "boot_params.initramfs" when the initramfs is not in RAM.
[[nodiscard]] inline result<x86_boot::boot_params> make_boot_params(boot_params_config const& config) {
    using namespace x86_boot;
    boot_params out;
    out.hdr = config.header.value_or(detail::plain_setup_header());
    auto& header = out.hdr;
    header.type_of_loader = loader_undefined;
    header.ext_loader_ver = 0;
    header.ext_loader_type = 0;
    header.setup_data = std::uint64_t{0};
    header.loadflags = static_cast<std::uint8_t>((header.loadflags & ~kaslr_flag) | loaded_high |
                                                 (config.kaslr ? kaslr_flag : 0));

    auto const limit = header.cmdline_size == 0 ? 255U : header.cmdline_size.get();
    if (config.cmdline.size.raw > limit)
        return fail(errc::no_space, "boot_params.cmdline", limit);
    auto const low = [](std::uint64_t v) { return static_cast<std::uint32_t>(v); };
    auto const high = [](std::uint64_t v) { return static_cast<std::uint32_t>(v >> 32); };
    header.cmd_line_ptr = low(config.cmdline.start.raw);
    out.ext_cmd_line_ptr = high(config.cmdline.start.raw);

    if (config.initramfs.size.raw != 0) {
        auto at = config.initramfs.start.raw;
        auto const end = checked_add(at, config.initramfs.size.raw);
        for (auto const& r : config.ram)
            if (r.range.contains(gpa{at}))
                at = r.range.end().raw;
        if (!end || at < *end)
            return fail(errc::out_of_range, "boot_params.initramfs", at);
        header.ramdisk_image = low(config.initramfs.start.raw);
        out.ext_ramdisk_image = high(config.initramfs.start.raw);
        header.ramdisk_size = low(config.initramfs.size.raw);
        out.ext_ramdisk_size = high(config.initramfs.size.raw);
    }
    out.acpi_rsdp_addr = config.rsdp.raw;

    auto const map = detail::make_e820(config.ram, config.reserved);
    if (map.size() > e820_max)
        return fail(errc::no_space, "boot_params.e820", e820_max);
    std::copy(map.begin(), map.end(), out.e820_table.begin());
    out.e820_entries = static_cast<std::uint8_t>(map.size());
    return out;
}

} // namespace ktstr
