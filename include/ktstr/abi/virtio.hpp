// SPDX-License-Identifier: Apache-2.0
/// \file
/// Numbers that all virtio devices share: status bits, feature bits, device types.
///
/// Source: Virtual I/O Device (VIRTIO) Version 1.2, sections 2.1, 5 and 6,
/// https://docs.oasis-open.org/virtio/virtio/v1.2/virtio-v1.2.html
#pragma once

#include <cstdint>

namespace ktstr {

/// Bits of the device status field (section 2.1).
namespace virtio_status {
inline constexpr std::uint8_t acknowledge = 0x01; ///< The guest noticed the device.
inline constexpr std::uint8_t driver = 0x02;      ///< It knows how to drive it.
inline constexpr std::uint8_t driver_ok = 0x04;   ///< The driver is set up: the device is live.
inline constexpr std::uint8_t features_ok = 0x08; ///< Feature negotiation is complete.
inline constexpr std::uint8_t needs_reset = 0x40; ///< Set by the device: an error from which only reset leads out.
inline constexpr std::uint8_t failed = 0x80;      ///< The driver gave up on the device.
} // namespace virtio_status

/// Feature bits that do not belong to one device type (section 6).
namespace virtio_feature {
inline constexpr std::uint64_t indirect_desc = std::uint64_t{1} << 28; ///< Descriptors may point at tables.
inline constexpr std::uint64_t event_idx = std::uint64_t{1} << 29;     ///< Notification suppression by index.
inline constexpr std::uint64_t version_1 = std::uint64_t{1} << 32;     ///< Not a legacy device.
} // namespace virtio_feature

/// Device types (section 5).
namespace virtio_device_id {
inline constexpr std::uint32_t reserved = 0; ///< No device behind this transport.
inline constexpr std::uint32_t net = 1;
inline constexpr std::uint32_t block = 2;
inline constexpr std::uint32_t console = 3;
} // namespace virtio_device_id

} // namespace ktstr
