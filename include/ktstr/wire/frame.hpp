// SPDX-License-Identifier: Apache-2.0
/// \file
/// The frame around every message: a 24-byte header with two checksums, then the payload.
///
///     byte  0        4     6     8         12      16          20         24
///          | "KTSM" | ver | type | length | seq   | head crc  | full crc  | payload ...
///
/// All numbers are little-endian. `length` counts payload bytes. The head CRC covers bytes 0-15, so a damaged length is
/// found before anybody waits for its payload; the full CRC covers bytes 0-15 and the payload. docs/formats/wire.md.
#pragma once

#include "ktstr/base/endian.hpp"
#include "ktstr/base/layout.hpp"
#include "ktstr/wire/crc32.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace ktstr::wire {

inline constexpr std::array<std::byte, 4> frame_magic{std::byte{'K'}, std::byte{'T'}, std::byte{'S'}, std::byte{'M'}};
/// The version of frame and messages together; a reader refuses any other.
inline constexpr std::uint16_t protocol_version = 1;
/// The largest payload in bytes; a header that announces more is garbage.
inline constexpr std::uint32_t max_payload = 16U << 20;

/// The bytes in front of every payload.
struct frame_header {
    std::array<std::byte, 4> magic = frame_magic;
    le16 version = protocol_version;
    le16 type;     ///< A `message_type`; unknown ones are passed on.
    le32 length;   ///< Payload bytes.
    le32 sequence; ///< Counts the sender's frames from 0; wraps.
    le32 head_crc; ///< CRC-32 of bytes 0-15.
    le32 full_crc; ///< CRC-32 of bytes 0-15 and the payload.
};
KTSTR_ABI(frame_header, 24);
KTSTR_ABI_AT(frame_header, type, 6);
KTSTR_ABI_AT(frame_header, sequence, 12);
KTSTR_ABI_AT(frame_header, head_crc, 16);
KTSTR_ABI_AT(frame_header, full_crc, 20);

/// One intact frame, borrowed from the decoder during its callback.
struct frame_view {
    std::uint16_t type = 0;
    std::uint32_t sequence = 0;
    std::span<std::byte const> payload{};
};

/// The header for `payload`, checksums included. `payload` must not exceed `max_payload`.
[[nodiscard]] inline frame_header make_header(std::uint16_t type, std::uint32_t sequence,
                                              std::span<std::byte const> payload) noexcept {
    frame_header out;
    out.type = type;
    out.length = static_cast<std::uint32_t>(payload.size());
    out.sequence = sequence;
    auto const head = crc32(std::as_bytes(std::span<frame_header const, 1>(&out, 1)).first(16));
    out.head_crc = head;
    out.full_crc = crc32(payload, head);
    return out;
}

/// Appends one whole frame to `out`.
inline void append_frame(std::vector<std::byte>& out, std::uint16_t type, std::uint32_t sequence,
                         std::span<std::byte const> payload) {
    auto const header = make_header(type, sequence, payload);
    auto const raw = std::as_bytes(std::span<frame_header const, 1>(&header, 1));
    out.insert(out.end(), raw.begin(), raw.end());
    out.insert(out.end(), payload.begin(), payload.end());
}

} // namespace ktstr::wire
