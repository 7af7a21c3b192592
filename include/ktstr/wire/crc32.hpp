// SPDX-License-Identifier: Apache-2.0
/// \file
/// CRC-32 (IEEE 802.3, reflected polynomial 0xEDB88320): the checksum of every frame.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ktstr::wire {

namespace detail {
consteval std::array<std::uint32_t, 256> make_crc32_table() {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        auto value = i;
        for (int bit = 0; bit < 8; ++bit)
            value = (value & 1U) != 0 ? (value >> 1) ^ 0xEDB8'8320U : value >> 1;
        table[i] = value;
    }
    return table;
}
inline constexpr auto crc32_table = make_crc32_table();
} // namespace detail

/// The CRC-32 of `data` continued from `before`, the CRC of everything in front of it (0 at the start).
[[nodiscard]] constexpr std::uint32_t crc32(std::span<std::byte const> data, std::uint32_t before = 0) noexcept {
    auto value = ~before;
    for (auto const b : data)
        value = detail::crc32_table[(value ^ static_cast<std::uint32_t>(b)) & 0xFFU] ^ (value >> 8);
    return ~value;
}

} // namespace ktstr::wire
