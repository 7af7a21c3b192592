// SPDX-License-Identifier: Apache-2.0
/// \file
/// What a device write asks of the machine around it.
#pragma once

#include <cstdint>
#include <string_view>

namespace ktstr {

/// The consequence of a write for the whole machine. Devices never stop anything themselves.
enum class device_effect : std::uint8_t {
    none,        ///< The write stayed inside the device.
    reset_i8042, ///< The guest pulsed the CPU reset line of the keyboard controller (Linux `reboot=k`).
    reset_acpi,  ///< The guest wrote the ACPI reset register (Linux `reboot=a`) or pulsed port 0xcf9 (`reboot=p`).
    power_off,   ///< The guest entered ACPI S5.
};

/// A short English name of `effect`; a value outside the enumeration reads "unknown effect".
[[nodiscard]] constexpr std::string_view message(device_effect effect) noexcept {
    switch (effect) {
    case device_effect::none: return "none";
    case device_effect::reset_i8042: return "reset by the i8042";
    case device_effect::reset_acpi: return "reset by the ACPI reset register";
    case device_effect::power_off: return "power off by ACPI S5";
    }
    return "unknown effect";
}

} // namespace ktstr
