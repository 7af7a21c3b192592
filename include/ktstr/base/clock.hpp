// SPDX-License-Identifier: Apache-2.0
/// \file
/// The `Clock` policy: where a runner takes its time from.
///
/// Contract: `now()` may be called from any thread, never blocks, never goes backwards and counts nanoseconds from an
/// arbitrary start. Models: `monotonic_clock` (CLOCK_MONOTONIC), `manual_clock` (tests), both below.
/// Suite: tests/suites/clock_suite.hpp.
#pragma once

#include "ktstr/base/units.hpp"

#include <concepts>
#include <cstdint>
#include <ctime>

namespace ktstr {

namespace detail {
template <class C>
concept clock_now = requires(C const& c) {
    { c.now() } noexcept -> std::same_as<nanos>;
};
} // namespace detail

/// A source of monotonic time; see the contract at the top of this file.
template <class C>
concept Clock = detail::clock_now<C>;

/// Fails to compile with one sentence per requirement that `C` misses.
template <class C>
consteval bool explain_clock() {
    static_assert(detail::clock_now<C>, "Clock: missing `nanos now() const noexcept`");
    return Clock<C>;
}

/// CLOCK_MONOTONIC of the host.
struct monotonic_clock {
    [[nodiscard]] nanos now() const noexcept {
        timespec ts{};
        ::clock_gettime(CLOCK_MONOTONIC, &ts);
        return nanos{std::int64_t{ts.tv_sec} * 1'000'000'000 + ts.tv_nsec};
    }
};
static_assert(Clock<monotonic_clock>);

/// Stands still until somebody moves it: time for tests. Not thread-safe.
struct manual_clock {
    nanos at{};
    [[nodiscard]] nanos now() const noexcept { return at; }
    /// Moves time forward by `step`.
    void advance(nanos step) noexcept { at = at + step; }
};
static_assert(Clock<manual_clock>);

} // namespace ktstr
