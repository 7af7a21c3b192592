// SPDX-License-Identifier: Apache-2.0
/// \file
/// The small enumerations that the command line and the machine share.
#pragma once

#include <cstdint>

namespace ktstr::tool {

/// Whose CPUID leaves the guest sees.
enum class vendor_choice : std::uint8_t { host, intel, amd };
/// How the agent asks the machine to end: the kernel's `reboot=` letter k, a or t.
enum class reset_choice : std::uint8_t { keyboard, acpi, triple_fault };
/// What carries the virtio devices of a machine.
enum class virtio_transport : std::uint8_t { mmio, pci };
/// What the user wants of it.
enum class transport_wish : std::uint8_t { automatic, mmio, pci };

} // namespace ktstr::tool
