// SPDX-License-Identifier: Apache-2.0
/// \file
/// The `BusDevice` policy: a device that answers reads and writes in a window of ports or of guest physical memory.
///
/// Contract: `read(offset, data)` fills all of `data` and `write(offset, data)` takes all of it; `offset` is relative to
/// the device's window and `[offset, offset + data.size())` lies inside it (the bus checks). Both may be called from any
/// vCPU thread, several at once: the device locks itself, never blocks for long and never allocates here. Everything
/// the guest passes is hostile: no value may crash, hang or grow anything. A write returns what it asks of the machine.
/// Models: `null_bus_device`, `serial_16550`, `i8042`, `acpi_reset`, `acpi_sleep`, `cmos_rtc`, `virtio_mmio`, `pci_ports`,
/// `pci_memory`.
/// Suite: tests/suites/bus_device_suite.hpp.
#pragma once

#include "ktstr/dev/effect.hpp"

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ktstr {

namespace detail {
template <class D>
concept bus_device_read = requires(D& d, std::uint64_t offset, std::span<std::byte> data) {
    { d.read(offset, data) } noexcept -> std::same_as<void>;
};
template <class D>
concept bus_device_write = requires(D& d, std::uint64_t offset, std::span<std::byte const> data) {
    { d.write(offset, data) } noexcept -> std::same_as<device_effect>;
};
} // namespace detail

/// A device behind a window of addresses; see the contract at the top of this file.
template <class D>
concept BusDevice = detail::bus_device_read<D> && detail::bus_device_write<D>;

/// Fails to compile with one sentence per requirement that `D` misses.
template <class D>
consteval bool explain_bus_device() {
    static_assert(detail::bus_device_read<D>, "BusDevice: missing `void read(uint64_t, span<byte>) noexcept`");
    static_assert(detail::bus_device_write<D>,
                  "BusDevice: missing `device_effect write(uint64_t, span<byte const>) noexcept`");
    return BusDevice<D>;
}

/// What an empty bus reads as: all bits set, as pulled-up data lines give.
inline constexpr std::byte open_bus{0xff};

/// Nothing there: reads all ones and swallows writes.
struct null_bus_device {
    void read(std::uint64_t, std::span<std::byte> data) noexcept { std::fill(data.begin(), data.end(), open_bus); }
    device_effect write(std::uint64_t, std::span<std::byte const>) noexcept { return device_effect::none; }
};
static_assert(BusDevice<null_bus_device>);

} // namespace ktstr
