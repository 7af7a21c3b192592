// SPDX-License-Identifier: Apache-2.0
/// \file
/// Overflow-checked arithmetic, alignment and narrowing for numbers that came from outside.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>

namespace ktstr {

/// `a + b`, or nothing when it does not fit.
template <std::unsigned_integral T>
[[nodiscard]] constexpr std::optional<T> checked_add(T a, T b) noexcept {
    T sum{};
    if (__builtin_add_overflow(a, b, &sum))
        return std::nullopt;
    return sum;
}

/// `a * b`, or nothing when it does not fit.
template <std::unsigned_integral T>
[[nodiscard]] constexpr std::optional<T> checked_mul(T a, T b) noexcept {
    T product{};
    if (__builtin_mul_overflow(a, b, &product))
        return std::nullopt;
    return product;
}

/// `value` as `To`, or nothing when `To` cannot hold it.
template <std::integral To, std::integral From>
[[nodiscard]] constexpr std::optional<To> narrow(From value) noexcept {
    auto const out = static_cast<To>(value);
    if (static_cast<From>(out) != value || ((out < To{}) != (value < From{})))
        return std::nullopt;
    return out;
}

/// Whether `[offset, offset + count)` lies inside `[0, size)`; never overflows.
[[nodiscard]] constexpr bool fits(std::uint64_t offset, std::uint64_t count, std::uint64_t size) noexcept {
    return offset <= size && count <= size - offset;
}

/// `value` rounded down to a multiple of `alignment`, a power of two.
[[nodiscard]] constexpr std::uint64_t align_down(std::uint64_t value, std::uint64_t alignment) noexcept {
    return value & ~(alignment - 1);
}

/// `value` rounded up to a multiple of `alignment` (a power of two), or nothing when that overflows.
[[nodiscard]] constexpr std::optional<std::uint64_t> align_up(std::uint64_t value, std::uint64_t alignment) noexcept {
    auto const bumped = checked_add(value, alignment - 1);
    if (!bumped)
        return std::nullopt;
    return align_down(*bumped, alignment);
}

/// The number of bits needed to count `n` different values: ceil(log2(n)); 0 for 0 and 1.
[[nodiscard]] constexpr unsigned bits_for(std::uint32_t n) noexcept {
    return n <= 1 ? 0u : static_cast<unsigned>(std::bit_width(n - 1));
}

} // namespace ktstr
