// SPDX-License-Identifier: Apache-2.0
/// \file
/// The split virtqueue in guest memory. <linux/virtio_ring.h> is not valid C++, so these are our own structures.
///
/// Source: VIRTIO 1.2 section 2.7.
///
///   descriptor table   16 * size        aligned to 16
///   available ring     6 + 2 * size     aligned to 2     flags, idx, ring[size], used_event
///   used ring          6 + 8 * size     aligned to 4     flags, idx, ring[size], avail_event
#pragma once

#include "ktstr/base/endian.hpp"
#include "ktstr/base/layout.hpp"

#include <cstdint>

namespace ktstr {

/// Flags of a descriptor (section 2.7.5).
namespace virtq_desc_flag {
inline constexpr std::uint16_t next = 1;     ///< The chain goes on at `next`.
inline constexpr std::uint16_t write = 2;    ///< The device writes this buffer; otherwise it reads it.
inline constexpr std::uint16_t indirect = 4; ///< The buffer is a table of descriptors.
} // namespace virtq_desc_flag

/// In `flags` of the available ring: the driver asks not to be interrupted.
inline constexpr std::uint16_t virtq_avail_no_interrupt = 1;

/// One descriptor.
struct virtq_desc {
    le64 addr;  ///< 0x00 guest physical address
    le32 len;   ///< 0x08 bytes
    le16 flags; ///< 0x0c
    le16 next;  ///< 0x0e index of the next descriptor, if `flags` has next
};
KTSTR_ABI(virtq_desc, 16);
KTSTR_ABI_AT(virtq_desc, len, 8);
KTSTR_ABI_AT(virtq_desc, flags, 12);
KTSTR_ABI_AT(virtq_desc, next, 14);

/// One element of the used ring.
struct virtq_used_elem {
    le32 id;  ///< 0x00 head of the chain that was used
    le32 len; ///< 0x04 bytes written into its device-writable part
};
KTSTR_ABI(virtq_used_elem, 8);
KTSTR_ABI_AT(virtq_used_elem, len, 4);

/// Offsets that the available and the used ring have in common.
namespace virtq_ring_offset {
inline constexpr std::uint64_t flags = 0;
inline constexpr std::uint64_t idx = 2;
inline constexpr std::uint64_t ring = 4;
} // namespace virtq_ring_offset

/// Bytes of each part for a queue of `size` entries, the trailing event field included.
[[nodiscard]] constexpr std::uint64_t virtq_desc_bytes(std::uint16_t size) noexcept { return 16ull * size; }
[[nodiscard]] constexpr std::uint64_t virtq_avail_bytes(std::uint16_t size) noexcept { return 6ull + 2ull * size; }
[[nodiscard]] constexpr std::uint64_t virtq_used_bytes(std::uint16_t size) noexcept { return 6ull + 8ull * size; }

} // namespace ktstr
