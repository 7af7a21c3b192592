// SPDX-License-Identifier: Apache-2.0
/// \file
/// The `ExitStats` policy: what is kept about the exits of one vCPU, and the policy wrapper that measures handling.
///
/// Contract: one object a vCPU, written by its thread only; `count(kind)` after every run, `add_time(kind, ns)` after
/// every handled exit when `timed` is true (then two clock reads are paid an exit). Readable after the thread's end.
/// Models: `no_stats`, `exit_counts`, `exit_times`. Suite: tests/suites/exit_stats_suite.hpp.
#pragma once

#include "ktstr/base/clock.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/hv/exit.hpp"
#include "ktstr/hv/exit_policy.hpp"

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>

namespace ktstr {

namespace detail {
template <class S>
concept exit_stats_count = requires(S& s, exit_kind k) {
    { s.count(k) } noexcept -> std::same_as<void>;
};
template <class S>
concept exit_stats_time = requires(S& s, exit_kind k, nanos n) {
    { s.add_time(k, n) } noexcept -> std::same_as<void>;
    { S::timed } -> std::convertible_to<bool>;
};
} // namespace detail

/// A keeper of exit statistics; see the contract at the top of this file.
template <class S>
concept ExitStats = detail::exit_stats_count<S> && detail::exit_stats_time<S>;

/// Fails to compile with one sentence per requirement that `S` misses.
template <class S>
consteval bool explain_exit_stats() {
    static_assert(detail::exit_stats_count<S>, "ExitStats: missing `void count(exit_kind) noexcept`");
    static_assert(detail::exit_stats_time<S>,
                  "ExitStats: missing `void add_time(exit_kind, nanos) noexcept` or `static constexpr bool timed`");
    return ExitStats<S>;
}

/// Keeps nothing and costs nothing.
struct no_stats {
    static constexpr bool timed = false;
    void count(exit_kind) noexcept {}
    void add_time(exit_kind, nanos) noexcept {}
};
static_assert(ExitStats<no_stats>);

/// Counts exits by kind.
struct exit_counts {
    static constexpr bool timed = false;
    std::array<std::uint64_t, exit_kinds> counts{};
    void count(exit_kind kind) noexcept { ++counts[static_cast<std::size_t>(kind)]; }
    void add_time(exit_kind, nanos) noexcept {}
};
static_assert(ExitStats<exit_counts>);

/// Counts exits and sums the time that handling them took, by kind.
struct exit_times {
    static constexpr bool timed = true;
    std::array<std::uint64_t, exit_kinds> counts{};
    std::array<nanos, exit_kinds> handling{};
    void count(exit_kind kind) noexcept { ++counts[static_cast<std::size_t>(kind)]; }
    void add_time(exit_kind kind, nanos spent) noexcept {
        auto& sum = handling[static_cast<std::size_t>(kind)];
        sum = sum + spent;
    }
};
static_assert(ExitStats<exit_times>);

/// Wraps an exit policy so that the time inside each of its functions is added to `stats`.
template <ExitPolicy Policy, ExitStats Stats, Clock Time>
class timed_exits {
public:
    timed_exits(Policy& policy, Stats& stats, Time const& clock) noexcept
        : policy_(policy), stats_(stats), clock_(clock) {}

    exit_verdict on_pio_in(pio_exit const& e) noexcept { return timed(exit_kind::pio_in, [&] { return policy_.on_pio_in(e); }); }
    exit_verdict on_pio_out(pio_exit const& e) noexcept { return timed(exit_kind::pio_out, [&] { return policy_.on_pio_out(e); }); }
    exit_verdict on_mmio_read(mmio_exit const& e) noexcept { return timed(exit_kind::mmio_read, [&] { return policy_.on_mmio_read(e); }); }
    exit_verdict on_mmio_write(mmio_exit const& e) noexcept { return timed(exit_kind::mmio_write, [&] { return policy_.on_mmio_write(e); }); }
    exit_verdict on_halt(halt_exit const& e) noexcept { return timed(exit_kind::halt, [&] { return policy_.on_halt(e); }); }
    exit_verdict on_shutdown(shutdown_exit const& e) noexcept { return timed(exit_kind::shutdown, [&] { return policy_.on_shutdown(e); }); }
    exit_verdict on_system_event(system_event_exit const& e) noexcept { return timed(exit_kind::system_event, [&] { return policy_.on_system_event(e); }); }
    exit_verdict on_fail_entry(fail_entry_exit const& e) noexcept { return timed(exit_kind::fail_entry, [&] { return policy_.on_fail_entry(e); }); }
    exit_verdict on_internal_error(internal_error_exit const& e) noexcept { return timed(exit_kind::internal_error, [&] { return policy_.on_internal_error(e); }); }
    exit_verdict on_debug(debug_exit const& e) noexcept { return timed(exit_kind::debug, [&] { return policy_.on_debug(e); }); }
    exit_verdict on_unknown(unknown_exit const& e) noexcept { return timed(exit_kind::unknown, [&] { return policy_.on_unknown(e); }); }

private:
    template <class F>
    exit_verdict timed(exit_kind kind, F handle) noexcept {
        auto const from = clock_.now();
        auto const verdict = handle();
        stats_.add_time(kind, clock_.now() - from);
        return verdict;
    }

    Policy& policy_;
    Stats& stats_;
    Time const& clock_;
};

} // namespace ktstr
