// SPDX-License-Identifier: Apache-2.0
/// \file
/// The guest physical memory map of an x86_64 machine.
///
///     0x0000_0000  +------------------------------+
///                  |  0x500   GDT (boot)          |
///                  |  0x7000  zero page           |   boot_params of the Linux/x86 boot protocol
///                  |  0x8ff0  initial stack top   |
///                  |  0x9000  boot page tables    |   PML4, PDPT, 4 page directories: 0-4 GiB identity
///                  |  0x20000 command line        |
///     0x0009_fc00  +------------------------------+   end of low RAM in the E820 map
///                  |  0xe0000 ACPI tables         |
///     0x0010_0000  +------------------------------+
///                  |  RAM: kernel at 16 MiB (or   |
///                  |  where KASLR puts it), the   |
///                  |  initramfs at the top        |
///     0xc000_0000  +------------------------------+   MMIO hole
///                  |  virtio window i at          |
///                  |    0xc000_0000 + i * 0x1000  |
///                  |  0xd000_0000 PCI, 256 MiB    |   BARs, where virtio is behind PCI
///                  |  0xfec0_0000 IOAPIC          |
///                  |  0xfee0_0000 local APIC      |
///                  |  0xfffb_d000 TSS (3 pages)   |   used by KVM on Intel hosts only
///     0x1_0000_0000+------------------------------+
///                  |  RAM goes on, nothing lost   |
///                  +------------------------------+
#pragma once

#include "ktstr/base/units.hpp"
#include "ktstr/mem/region.hpp"

#include <array>
#include <cstdint>

namespace ktstr::x86_map {

inline constexpr gpa gdt{0x500};
inline constexpr gpa zero_page{0x7000};
inline constexpr gpa boot_stack{0x8ff0};
inline constexpr gpa page_tables{0x9000}; ///< PML4, PDPT, four PDs: 6 pages.
inline constexpr gpa command_line{0x20000};
inline constexpr gpa low_ram_end{0x9fc00};
inline constexpr gpa acpi{0xe0000};
inline constexpr gpa high_ram_start{0x100000};
inline constexpr gpa kernel_default{0x1000000};
inline constexpr gpa_range mmio_hole{gpa{0xc0000000}, bytes{0x40000000}};
inline constexpr gpa virtio_base{0xc0000000};
inline constexpr std::uint64_t virtio_window = 0x1000;
inline constexpr gpa_range pci{gpa{0xd0000000}, bytes{0x10000000}}; ///< What the PCI bus passes on.
inline constexpr gpa ioapic{0xfec00000};
inline constexpr gpa local_apic{0xfee00000};
inline constexpr gpa kvm_tss{0xfffbd000};
inline constexpr gpa kvm_identity_map{0xfffbc000};

inline constexpr std::uint16_t com1 = 0x3f8;
inline constexpr std::uint16_t com2 = 0x2f8;
inline constexpr gsi com1_gsi{4};
inline constexpr gsi com2_gsi{3};
/// Interrupt lines of the virtio windows: IOAPIC pins that no legacy device claims.
inline constexpr std::array<gsi, 12> virtio_gsi{gsi{5},  gsi{6},  gsi{7},  gsi{10}, gsi{11}, gsi{12},
                                                gsi{13}, gsi{14}, gsi{15}, gsi{16}, gsi{17}, gsi{18}};

/// The window of virtio device `index`.
[[nodiscard]] constexpr gpa_range virtio(std::uint32_t index) noexcept {
    return {virtio_base + index * virtio_window, bytes{virtio_window}};
}

} // namespace ktstr::x86_map
