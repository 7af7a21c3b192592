// SPDX-License-Identifier: Apache-2.0
/// \file
/// Buckets for latencies: four to a power of two, from 0 to 2^40 ns, shared by the worker that counts and the judge.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ktstr::wire {

/// Number of buckets; the last one takes everything larger.
inline constexpr std::size_t wake_buckets = 4 * 40;

/// The bucket of a latency in nanoseconds: quarter-octaves above 4 ns, exact below.
[[nodiscard]] constexpr std::size_t wake_bucket(std::uint64_t ns) noexcept {
    if (ns < 4)
        return static_cast<std::size_t>(ns);
    auto const octave = static_cast<std::size_t>(std::bit_width(ns)) - 1;
    auto const quarter = static_cast<std::size_t>((ns >> (octave - 2)) & 3);
    auto const index = 4 * (octave - 1) + quarter;
    return index < wake_buckets ? index : wake_buckets - 1;
}

/// The smallest latency that falls into bucket `index`.
[[nodiscard]] constexpr std::uint64_t wake_bucket_floor(std::size_t index) noexcept {
    if (index < 4)
        return index;
    auto const octave = index / 4 + 1;
    return (std::uint64_t{4} + index % 4) << (octave - 2);
}

/// The upper edge of the bucket that holds the `percent`-th percentile; 0 when nothing was counted.
[[nodiscard]] constexpr std::uint64_t wake_percentile(std::span<std::uint32_t const> counts,
                                                      unsigned percent) noexcept {
    std::uint64_t total = 0;
    for (auto const n : counts)
        total += n;
    if (total == 0)
        return 0;
    auto const wanted = (total * percent + 99) / 100;
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        seen += counts[i];
        if (seen >= wanted)
            return wake_bucket_floor(i + 1);
    }
    return wake_bucket_floor(counts.size());
}

} // namespace ktstr::wire
