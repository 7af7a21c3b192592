// SPDX-License-Identifier: Apache-2.0
/// \file
/// The two ACPI fixed registers of a hardware-reduced machine: reset, and sleep control with its status.
///
/// Source: ACPI 6.5 sections 4.8.3.6 (reset register), 4.8.3.7 (sleep control and status registers).
#pragma once

#include "ktstr/dev/bus_device.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ktstr {

/// I/O port 0xcf9: the FADT's reset register (value 6) and the PC chipset's reset control in one.
/// Give it a window of exactly 1, so that 32-bit PCI configuration accesses to 0xcf8 pass by.
struct acpi_reset {
    static constexpr std::uint64_t base = 0xcf9;
    static constexpr std::uint64_t window = 1;
    static constexpr std::uint8_t value = 6;     ///< What the FADT tells the guest to write.
    static constexpr std::byte reset_cpu{0x04};  ///< The bit that resets; bit 1 says how hard, which is all one here.

    void read(std::uint64_t, std::span<std::byte> data) noexcept { std::fill(data.begin(), data.end(), std::byte{0}); }
    device_effect write(std::uint64_t, std::span<std::byte const> data) noexcept {
        bool const hit = !data.empty() && (data[0] & reset_cpu) != std::byte{0};
        return hit ? device_effect::reset_acpi : device_effect::none;
    }
};
static_assert(BusDevice<acpi_reset>);

/// I/O ports 0x600 (sleep control) and 0x601 (sleep status).
struct acpi_sleep {
    static constexpr std::uint64_t base = 0x600;
    static constexpr std::uint64_t window = 2;
    static constexpr std::uint8_t s5_type = 5;                ///< SLP_TYP that the DSDT's \_S5 must name.
    static constexpr std::uint8_t enable = 0x20;              ///< SLP_EN.
    static constexpr std::uint8_t s5 = (s5_type << 2) | enable; ///< The control value that powers off.
    static constexpr std::uint8_t type_mask = 0x1c;

    void read(std::uint64_t offset, std::span<std::byte> data) noexcept {
        // SLP_EN is write-only, and we never woke up from anything: WAK_STS stays 0.
        for (std::size_t i = 0; i < data.size(); ++i)
            data[i] = offset + i == 0 ? std::byte{type_.load(std::memory_order_relaxed)} : std::byte{0};
    }
    device_effect write(std::uint64_t offset, std::span<std::byte const> data) noexcept {
        if (offset != 0 || data.empty())
            return device_effect::none;
        auto const control = std::to_integer<std::uint8_t>(data[0]);
        type_.store(control & type_mask, std::memory_order_relaxed);
        return (control & (type_mask | enable)) == s5 ? device_effect::power_off : device_effect::none;
    }

private:
    std::atomic<std::uint8_t> type_{0};
};
static_assert(BusDevice<acpi_sleep>);

} // namespace ktstr
