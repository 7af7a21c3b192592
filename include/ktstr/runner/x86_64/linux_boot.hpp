// SPDX-License-Identifier: Apache-2.0
/// \file
/// Puts a Linux kernel and everything it is told into the memory of an x86_64 machine, for a direct 64-bit entry.
#pragma once

#include "ktstr/arch/x86_64/boot_state.hpp"
#include "ktstr/arch/x86_64/map.hpp"
#include "ktstr/base/checked.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/boot/boot_params.hpp"
#include "ktstr/boot/elf_vmlinux.hpp"
#include "ktstr/boot/initramfs_image.hpp"
#include "ktstr/boot/kaslr.hpp"
#include "ktstr/boot/load_vmlinux.hpp"
#include "ktstr/boot/relocs.hpp"
#include "ktstr/mem/guest_memory.hpp"
#include "ktstr/mem/region.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace ktstr {

/// The two random numbers that KASLR takes; any values.
struct kaslr_random {
    std::uint64_t physical = 0;
    std::uint64_t virtual_ = 0;
};

/// A kernel to boot and what to tell it. Everything is borrowed for the duration of the call.
struct linux_boot {
    vmlinux_image const* image = nullptr;              ///< Required.
    reloc_tables relocs{};                             ///< Needed when `kaslr` is given.
    std::optional<x86_boot::setup_header> header{};    ///< The bzImage's, if there is one.
    std::string_view cmdline{};
    initramfs_image const* initramfs = nullptr;        ///< None: no initramfs.
    std::span<std::byte const> acpi{};                 ///< Goes to `x86_map::acpi`; the RSDP first.
    std::optional<kaslr_random> kaslr{};
};

/// Where everything went.
struct linux_placed {
    loaded_kernel kernel{};
    gpa_range initramfs{};
    x86_boot_state bsp{};
};

/// Fills guest memory: boot tables, command line, initramfs (as high as it may go below the MMIO hole), kernel (as
/// linked, or where KASLR puts it), ACPI tables, zero page. `Placement` is how the initramfs base gets into RAM.
/// Errors: `errc::no_space` ("initramfs.place", "kaslr.phys", "boot.acpi", "boot_params.cmdline"),
/// `errc::out_of_range` ("guest_memory" when the kernel does not fit), and what the loaders say. Memory is then in an
/// undefined state.
template <InitramfsPlacement Placement, GuestMemory M, ImageSource S>
[[nodiscard]] result<linux_placed> place_linux(M const& memory, std::span<ram_region const> ram, S const& vmlinux,
                                               linux_boot const& boot) {
    if (boot.image == nullptr)
        return fail(errc::invalid_argument, "boot.image");
    linux_placed out;
    KTSTR_CHECK(write_boot_tables(memory));

    KTSTR_CHECK(write_guest(memory, x86_map::command_line,
                            std::as_bytes(std::span(boot.cmdline.data(), boot.cmdline.size()))));
    KTSTR_CHECK(store_guest(memory, x86_map::command_line + boot.cmdline.size(), std::uint8_t{0}));

    if (boot.acpi.size() > x86_map::high_ram_start - x86_map::acpi)
        return fail(errc::no_space, "boot.acpi", boot.acpi.size());
    KTSTR_CHECK(write_guest(memory, x86_map::acpi, boot.acpi));

    auto const linked = boot.image->extent;
    if (boot.initramfs != nullptr) {
        auto ceiling = x86_map::mmio_hole.start;
        // The last byte that the kernel accepts; 0 in headers older than protocol 2.03.
        if (boot.header && boot.header->initrd_addr_max != 0)
            ceiling = std::min(ceiling, gpa{std::uint64_t{boot.header->initrd_addr_max} + 1});
        KTSTR_TRY(auto const at, choose_initramfs_gpa(ram, boot.initramfs->total(), linked.end(), ceiling));
        KTSTR_TRY(auto const placed, place_initramfs<Placement>(memory, at, *boot.initramfs));
        out.initramfs = placed.range;
    }

    load_options load;
    load.relocs = boot.relocs;
    if (boot.kaslr) {
        std::array const taken{gpa_range{gpa{0}, bytes{x86_map::high_ram_start.raw}}, out.initramfs};
        kaslr_limits limits;
        limits.ram = ram;
        limits.reserved = taken;
        limits.below = x86_map::mmio_hole.start;
        if (boot.header)
            limits.alignment = bytes{std::max<std::uint64_t>(boot.header->kernel_alignment, 2 * MiB)};
        KTSTR_TRY(auto const place, choose_kaslr(*boot.image, limits, boot.kaslr->physical, boot.kaslr->virtual_));
        load.phys_base = place.phys_base;
        load.virt_offset = place.virt_offset;
    }
    KTSTR_TRY(out.kernel, load_vmlinux(memory, vmlinux, *boot.image, load));

    std::array const reserved{
        reserved_range{{x86_map::low_ram_end, bytes{x86_map::high_ram_start - x86_map::low_ram_end}}}};
    boot_params_config config;
    config.header = boot.header;
    config.ram = ram;
    config.reserved = reserved;
    config.cmdline = {x86_map::command_line, bytes{boot.cmdline.size()}};
    config.initramfs = out.initramfs;
    config.rsdp = boot.acpi.empty() ? gpa{0} : x86_map::acpi;
    config.kaslr = boot.kaslr.has_value();
    KTSTR_TRY(auto const params, make_boot_params(config));
    KTSTR_CHECK(store_guest(memory, x86_map::zero_page, params));
    out.bsp = x86_long_mode_entry(out.kernel.entry, x86_map::zero_page);
    return out;
}

} // namespace ktstr
