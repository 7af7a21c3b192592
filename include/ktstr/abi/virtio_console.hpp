// SPDX-License-Identifier: Apache-2.0
/// \file
/// Configuration and control messages of the virtio console.
///
/// Source: VIRTIO 1.2 section 5.3.
#pragma once

#include "ktstr/base/endian.hpp"
#include "ktstr/base/layout.hpp"

#include <cstdint>

namespace ktstr {

/// Feature bits of the console (section 5.3.3).
namespace virtio_console_feature {
inline constexpr std::uint64_t size = 1u << 0;      ///< cols and rows are valid
inline constexpr std::uint64_t multiport = 1u << 1; ///< control queues and several ports
} // namespace virtio_console_feature

/// The configuration space (section 5.3.4).
struct virtio_console_config {
    le16 cols;         ///< 0x00
    le16 rows;         ///< 0x02
    le32 max_nr_ports; ///< 0x04 valid with multiport
    le32 emerg_wr;     ///< 0x08 valid with VIRTIO_CONSOLE_F_EMERG_WRITE
};
KTSTR_ABI(virtio_console_config, 12);
KTSTR_ABI_AT(virtio_console_config, max_nr_ports, 4);

/// What a control message says (section 5.3.6.2).
enum class virtio_console_event : std::uint16_t {
    device_ready = 0, ///< driver: it is ready (value 1) or failed (0)
    device_add = 1,   ///< device: port `id` exists
    device_remove = 2,///< device: port `id` is gone
    port_ready = 3,   ///< driver: port `id` is ready (1) or failed (0)
    console_port = 4, ///< device: port `id` is a console
    resize = 5,       ///< device: followed by virtio_console_resize
    port_open = 6,    ///< both: the sender opened (1) or closed (0) its end
    port_name = 7,    ///< device: followed by the name, without a NUL
};

/// The head of every control message.
struct virtio_console_control {
    le32 id;    ///< 0x00 port
    le16 event; ///< 0x04 virtio_console_event
    le16 value; ///< 0x06
};
KTSTR_ABI(virtio_console_control, 8);
KTSTR_ABI_AT(virtio_console_control, event, 4);
KTSTR_ABI_AT(virtio_console_control, value, 6);

/// What follows a resize message. Linux before commit 5326ab737a47 reads the two fields the other way round.
struct virtio_console_resize {
    le16 cols; ///< 0x00
    le16 rows; ///< 0x02
};
KTSTR_ABI(virtio_console_resize, 4);

} // namespace ktstr
