// SPDX-License-Identifier: Apache-2.0
/// \file
/// The part of a PC keyboard controller that a machine without a keyboard needs: the CPU reset line.
#pragma once

#include "ktstr/dev/bus_device.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace ktstr {

/// Ports 0x60 (data) to 0x64 (status, command) as one window of 5; it has no state and needs no lock.
///
/// Status reads 0xfd. "Output full" (bit 0) never clears, so the Linux probe (`i8042_flush`) finds after 16 reads that
/// nobody is there instead of waiting 2.9 s for an answer; "input full" (bit 1) is clear, so the reboot path (`kb_wait`)
/// does not poll 65536 times before it pulses reset. Both are in linux drivers/input/serio/i8042.c and
/// arch/x86/kernel/reboot.c.
struct i8042 {
    static constexpr std::uint64_t base = 0x60;   ///< First port.
    static constexpr std::uint64_t window = 5;    ///< Ports 0x60-0x64.
    static constexpr std::uint8_t status = 0xfd;  ///< What port 0x64 reads.
    static constexpr std::uint8_t port_b = 0x20;  ///< Port 0x61: timer 2 output high, no NMI reason, speaker off.

    void read(std::uint64_t offset, std::span<std::byte> data) noexcept {
        for (std::size_t i = 0; i < data.size(); ++i) {
            auto const port = base + offset + i;
            data[i] = port == 0x64 ? std::byte{status} : port == 0x61 ? std::byte{port_b} : open_bus;
        }
    }

    /// Command 0xf0-0xff pulses the output lines whose bit is 0; line 0 is the CPU's reset.
    device_effect write(std::uint64_t offset, std::span<std::byte const> data) noexcept {
        for (std::size_t i = 0; i < data.size(); ++i) {
            if (base + offset + i == 0x64 && (data[i] & std::byte{0xf1}) == std::byte{0xf0})
                return device_effect::reset_i8042;
        }
        return device_effect::none;
    }
};
static_assert(BusDevice<i8042>);

} // namespace ktstr
