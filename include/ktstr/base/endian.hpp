// SPDX-License-Identifier: Apache-2.0
/// \file
/// Integers stored in a fixed byte order with alignment 1: the fields of every wire, file and device structure.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace ktstr {

namespace detail {
template <std::unsigned_integral T, std::endian Order>
struct stored {
    std::array<std::uint8_t, sizeof(T)> raw{};

    constexpr stored() noexcept = default;
    constexpr stored(T value) noexcept { set(value); } // NOLINT(google-explicit-constructor): a field is its number
    constexpr operator T() const noexcept { return get(); } // NOLINT(google-explicit-constructor)

    [[nodiscard]] constexpr T get() const noexcept {
        T value{};
        for (std::size_t i = 0; i < sizeof(T); ++i) {
            auto const shift = 8 * (Order == std::endian::little ? i : sizeof(T) - 1 - i);
            value = static_cast<T>(value | static_cast<T>(static_cast<T>(raw[i]) << shift));
        }
        return value;
    }
    constexpr void set(T value) noexcept {
        for (std::size_t i = 0; i < sizeof(T); ++i) {
            auto const shift = 8 * (Order == std::endian::little ? i : sizeof(T) - 1 - i);
            raw[i] = static_cast<std::uint8_t>(value >> shift);
        }
    }
    friend constexpr bool operator==(stored const&, stored const&) noexcept = default;
    /// Compares values, not representations; without this overload `le16{} == std::uint16_t{}` would be ambiguous.
    template <std::integral U>
    friend constexpr bool operator==(stored const& a, U b) noexcept {
        return std::cmp_equal(a.get(), b);
    }
};
} // namespace detail

using le16 = detail::stored<std::uint16_t, std::endian::little>;
using le32 = detail::stored<std::uint32_t, std::endian::little>;
using le64 = detail::stored<std::uint64_t, std::endian::little>;
using be16 = detail::stored<std::uint16_t, std::endian::big>;
using be32 = detail::stored<std::uint32_t, std::endian::big>;
using be64 = detail::stored<std::uint64_t, std::endian::big>;

static_assert(std::is_trivially_copyable_v<le64> && alignof(le64) == 1 && sizeof(le64) == 8);

} // namespace ktstr
