// SPDX-License-Identifier: Apache-2.0
/// \file
/// Registers of the virtio-mmio transport, version 2.
///
/// Source: VIRTIO 1.2 section 4.2.2 (table 4.1). All registers are 32 bits wide and little-endian.
#pragma once

#include <cstdint>

namespace ktstr {

/// Register offsets in a virtio-mmio window.
enum class virtio_mmio_reg : std::uint32_t {
    magic = 0x000,               ///< R  "virt"
    version = 0x004,             ///< R  2
    device_id = 0x008,           ///< R  type; 0 = nothing here
    vendor_id = 0x00c,           ///< R
    device_features = 0x010,     ///< R  32 bits of what is offered, chosen by the next
    device_features_sel = 0x014, ///< W
    driver_features = 0x020,     ///< W  32 bits of what the driver takes, chosen by the next
    driver_features_sel = 0x024, ///< W
    queue_sel = 0x030,           ///< W  the queue that the queue_* registers mean
    queue_num_max = 0x034,       ///< R  0 = no such queue
    queue_num = 0x038,           ///< W  entries
    queue_ready = 0x044,         ///< RW
    queue_notify = 0x050,        ///< W  number of the queue with new buffers
    interrupt_status = 0x060,    ///< R
    interrupt_ack = 0x064,       ///< W
    status = 0x070,              ///< RW 0 = reset
    queue_desc_low = 0x080,      ///< W  descriptor table
    queue_desc_high = 0x084,
    queue_driver_low = 0x090,    ///< W  available ring
    queue_driver_high = 0x094,
    queue_device_low = 0x0a0,    ///< W  used ring
    queue_device_high = 0x0a4,
    shm_sel = 0x0ac,             ///< W
    shm_len_low = 0x0b0,         ///< R  all ones: no shared memory
    shm_len_high = 0x0b4,
    shm_base_low = 0x0b8,
    shm_base_high = 0x0bc,
    queue_reset = 0x0c0,         ///< RW only with VIRTIO_F_RING_RESET
    config_generation = 0x0fc,   ///< R
};

inline constexpr std::uint32_t virtio_mmio_magic = 0x74726976; ///< "virt", little-endian
inline constexpr std::uint32_t virtio_mmio_version = 2;
inline constexpr std::uint64_t virtio_mmio_config = 0x100;  ///< Where the device's own configuration begins.
inline constexpr std::uint64_t virtio_mmio_window = 0x1000; ///< Bytes of guest physical space per device.
inline constexpr std::uint64_t virtio_mmio_notify = 0x050;  ///< Offset of queue_notify: where an ioeventfd goes.

/// Bits of interrupt_status.
namespace virtio_interrupt {
inline constexpr std::uint32_t used_buffer = 1;
inline constexpr std::uint32_t config_change = 2;
} // namespace virtio_interrupt

} // namespace ktstr
