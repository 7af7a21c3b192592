// SPDX-License-Identifier: Apache-2.0
/// \file
/// PCI configuration space: offsets of a type-0 header, bits of its registers, and the MSI-X capability.
///
/// Source: PCI Local Bus Specification 3.0 chapter 6 (header, capabilities, MSI-X) and section 3.2.2.3.2 (mechanism 1);
/// linux include/uapi/linux/pci_regs.h.
#pragma once

#include <cstdint>

namespace ktstr::pci {

/// Offsets of a type-0 header.
namespace reg {
inline constexpr std::uint32_t vendor = 0x00;
inline constexpr std::uint32_t device = 0x02;
inline constexpr std::uint32_t command = 0x04;
inline constexpr std::uint32_t status = 0x06;
inline constexpr std::uint32_t revision = 0x08;
inline constexpr std::uint32_t class_code = 0x09; ///< interface, subclass, class: three bytes
inline constexpr std::uint32_t bar0 = 0x10;
inline constexpr std::uint32_t subsystem_vendor = 0x2c;
inline constexpr std::uint32_t subsystem = 0x2e;
inline constexpr std::uint32_t capabilities = 0x34;
} // namespace reg

inline constexpr std::uint32_t config_size = 256; ///< What mechanism 1 reaches of a function.

/// Bits of the command register.
inline constexpr std::uint16_t command_memory = 0x0002;
inline constexpr std::uint16_t command_master = 0x0004;
inline constexpr std::uint16_t command_no_intx = 0x0400;
/// Bit of the status register: there is a capability list.
inline constexpr std::uint16_t status_capabilities = 0x0010;

/// Capability ids.
inline constexpr std::uint8_t capability_vendor = 0x09;
inline constexpr std::uint8_t capability_msix = 0x11;

/// The MSI-X capability: control at +2, table at +4, pending bits at +8; the last two are an offset with the BAR's number
/// in its three low bits.
inline constexpr std::uint32_t msix_control = 2;
inline constexpr std::uint32_t msix_table = 4;
inline constexpr std::uint32_t msix_pending = 8;
inline constexpr std::uint32_t msix_capability_size = 12;
inline constexpr std::uint16_t msix_enable = 0x8000;
inline constexpr std::uint16_t msix_function_mask = 0x4000;
inline constexpr std::uint32_t msix_entry_size = 16;   ///< address (8), data (4), vector control (4)
inline constexpr std::uint32_t msix_entry_masked = 1;  ///< Bit of the vector control.

/// Mechanism 1: the address goes to the first port, the data passes through the four from the second.
inline constexpr std::uint16_t address_port = 0xcf8;
inline constexpr std::uint16_t data_port = 0xcfc;
inline constexpr std::uint32_t address_enable = 0x80000000;
inline constexpr std::uint32_t address_mask = 0x80fffffc; ///< The bits that the address register keeps.

} // namespace ktstr::pci
