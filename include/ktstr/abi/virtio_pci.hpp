// SPDX-License-Identifier: Apache-2.0
/// \file
/// The virtio-pci transport: identity, capabilities, and the fields of the common configuration.
///
/// Source: VIRTIO 1.2 section 4.1; linux include/uapi/linux/virtio_pci.h.
#pragma once

#include "ktstr/base/endian.hpp"
#include "ktstr/base/layout.hpp"

#include <cstdint>

namespace ktstr {

inline constexpr std::uint16_t virtio_pci_vendor = 0x1af4;
inline constexpr std::uint16_t virtio_pci_first_device = 0x1040; ///< Plus the device type: a modern device.
inline constexpr std::uint8_t virtio_pci_revision = 1;           ///< Modern devices have 1 or more.
inline constexpr std::uint16_t virtio_no_vector = 0xffff;        ///< No MSI-X vector.

/// What a capability points at (`cfg_type`).
enum class virtio_pci_cap_type : std::uint8_t {
    common = 1, ///< Common configuration.
    notify = 2, ///< Notifications; a multiplier follows the capability.
    isr = 3,    ///< Interrupt status, cleared by reading.
    device = 4, ///< Device-specific configuration.
    access = 5, ///< A window in configuration space onto the BARs; four data bytes follow.
};

/// struct virtio_pci_cap, without what some types have behind it.
struct virtio_pci_cap {
    std::uint8_t id = 0x09;
    std::uint8_t next = 0;
    std::uint8_t size = 16; ///< With what follows.
    virtio_pci_cap_type type = virtio_pci_cap_type::common;
    std::uint8_t bar = 0;
    std::uint8_t number = 0; ///< Tells capabilities of one type apart.
    std::uint8_t padding[2]{};
    le32 offset{};
    le32 length{};
};
KTSTR_ABI(virtio_pci_cap, 16);
KTSTR_ABI_AT(virtio_pci_cap, bar, 4);
KTSTR_ABI_AT(virtio_pci_cap, offset, 8);

/// Offsets in the common configuration. 64-bit fields are written as two halves.
enum class virtio_pci_reg : std::uint32_t {
    device_features_sel = 0x00, ///< 32 bits
    device_features = 0x04,     ///< 32 bits, R
    driver_features_sel = 0x08, ///< 32 bits
    driver_features = 0x0c,     ///< 32 bits
    config_vector = 0x10,       ///< 16 bits
    queue_count = 0x12,         ///< 16 bits, R
    status = 0x14,              ///< 8 bits
    config_generation = 0x15,   ///< 8 bits, R
    queue_sel = 0x16,           ///< 16 bits
    queue_size = 0x18,          ///< 16 bits; reads as the largest size until it is written
    queue_vector = 0x1a,        ///< 16 bits
    queue_enable = 0x1c,        ///< 16 bits
    queue_notify_offset = 0x1e, ///< 16 bits, R; in units of the notify capability's multiplier
    queue_desc_low = 0x20,
    queue_desc_high = 0x24,
    queue_driver_low = 0x28,
    queue_driver_high = 0x2c,
    queue_device_low = 0x30,
    queue_device_high = 0x34,
};
inline constexpr std::uint32_t virtio_pci_common_size = 0x38;

/// Bytes of the common configuration's field that begins at `offset`; 0 when none does.
[[nodiscard]] constexpr std::uint32_t virtio_pci_field_width(std::uint64_t offset) noexcept {
    if (offset >= virtio_pci_common_size)
        return 0;
    if (offset < 0x10 || offset >= 0x20)
        return offset % 4 == 0 ? 4 : 0;
    if (offset == 0x14 || offset == 0x15)
        return 1;
    return offset % 2 == 0 ? 2 : 0;
}

} // namespace ktstr
