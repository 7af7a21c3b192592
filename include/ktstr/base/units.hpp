// SPDX-License-Identifier: Apache-2.0
/// \file
/// Strong types for addresses, sizes, indices and times, so that units live in types and never in the reader's memory.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

namespace ktstr {

namespace detail {
/// An integer with a meaning: compares with itself only, moves by plain counts, and yields its number on request.
template <class Tag, class Rep>
struct strong {
    using rep = Rep;
    Rep raw{};

    constexpr strong() noexcept = default;
    constexpr explicit strong(Rep value) noexcept : raw(value) {}
    friend constexpr auto operator<=>(strong const&, strong const&) noexcept = default;
};
} // namespace detail

/// A guest physical address in bytes.
struct gpa : detail::strong<gpa, std::uint64_t> {
    using strong::strong;
    /// The address `n` bytes further up; wraps like the hardware does.
    friend constexpr gpa operator+(gpa a, std::uint64_t n) noexcept { return gpa{a.raw + n}; }
    /// The distance in bytes from `b` up to `a`.
    friend constexpr std::uint64_t operator-(gpa a, gpa b) noexcept { return a.raw - b.raw; }
};

/// A guest virtual address in bytes.
struct gva : detail::strong<gva, std::uint64_t> {
    using strong::strong;
    friend constexpr gva operator+(gva a, std::uint64_t n) noexcept { return gva{a.raw + n}; }
    friend constexpr std::uint64_t operator-(gva a, gva b) noexcept { return a.raw - b.raw; }
};

/// A number of bytes.
struct bytes : detail::strong<bytes, std::uint64_t> {
    using strong::strong;
    friend constexpr bytes operator+(bytes a, bytes b) noexcept { return bytes{a.raw + b.raw}; }
    friend constexpr bytes operator-(bytes a, bytes b) noexcept { return bytes{a.raw - b.raw}; }
};

/// The position of a vCPU in its machine, from 0; the BSP is 0.
struct vcpu_index : detail::strong<vcpu_index, std::uint32_t> {
    using strong::strong;
};

/// A global system interrupt number (ACPI 6.5 section 5.2.13).
struct gsi : detail::strong<gsi, std::uint32_t> {
    using strong::strong;
};

/// A span of time in nanoseconds, or a point on the clock it came from.
struct nanos : detail::strong<nanos, std::int64_t> {
    using strong::strong;
    friend constexpr nanos operator+(nanos a, nanos b) noexcept { return nanos{a.raw + b.raw}; }
    friend constexpr nanos operator-(nanos a, nanos b) noexcept { return nanos{a.raw - b.raw}; }
};

/// `n` milliseconds.
[[nodiscard]] constexpr nanos millis(std::int64_t n) noexcept { return nanos{n * 1'000'000}; }
/// `n` seconds.
[[nodiscard]] constexpr nanos seconds(std::int64_t n) noexcept { return nanos{n * 1'000'000'000}; }

inline constexpr std::uint64_t KiB = 1024;
inline constexpr std::uint64_t MiB = 1024 * KiB;
inline constexpr std::uint64_t GiB = 1024 * MiB;

} // namespace ktstr
