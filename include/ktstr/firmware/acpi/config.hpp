// SPDX-License-Identifier: Apache-2.0
/// \file
/// What the ACPI tables are made from.
#pragma once

#include "ktstr/base/units.hpp"
#include "ktstr/mem/region.hpp"
#include "ktstr/topo/numa.hpp"
#include "ktstr/topo/topology.hpp"

#include <cstdint>
#include <span>

namespace ktstr {

/// One virtio-mmio register window below 4 GiB and its interrupt line (edge, active high).
struct acpi_virtio_window {
    gpa_range window{};
    gsi line{};
};

/// One 16550 with eight ports from `port`, and its interrupt line (edge, active high).
struct acpi_uart {
    std::uint16_t port = 0;
    gsi line{};
};

/// A machine in the words of its firmware. The spans are borrowed for the time of the call.
struct acpi_config {
    topology shape{};
    numa_layout layout{};
    std::span<std::uint32_t const> apic_ids{}; ///< One per CPU, in CPU order.
    std::span<ram_region const> ram{};
    std::span<acpi_virtio_window const> virtio{};
    std::span<acpi_uart const> uarts{};
    gpa_range pci{};           ///< Memory that PCI bus 0 passes on, below 4 GiB; empty: there is no PCI.
    bool has_8042 = false; ///< A keyboard controller answers at ports 0x60 and 0x64.
    gpa ioapic{0xfec00000};
    gpa local_apic{0xfee00000};
    gpa place{0xe0000};        ///< Where the tables go; the RSDP is the first byte.
    bytes room{128 * KiB};     ///< How much fits there.
};

/// I/O ports of reset (write 6) and sleep (write SLP_EN to control), and the sleep type of S5 (soft off).
inline constexpr std::uint16_t acpi_reset_port = 0xcf9;
inline constexpr std::uint8_t acpi_reset_value = 6;
inline constexpr std::uint16_t acpi_sleep_control_port = 0x600;
inline constexpr std::uint16_t acpi_sleep_status_port = 0x601;
inline constexpr std::uint8_t acpi_s5_sleep_type = 5;

} // namespace ktstr
