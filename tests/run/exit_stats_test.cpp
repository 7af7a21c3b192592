// SPDX-License-Identifier: Apache-2.0
#include "ktstr/run/exit_stats.hpp"

#include "suites/exit_stats_suite.hpp"

#include <type_traits>

using namespace ktstr;

TEST_CASE("no_stats: conforms, keeps nothing, costs nothing") {
    no_stats stats;
    exit_stats_suite(stats);
    static_assert(std::is_empty_v<no_stats> && !no_stats::timed);
}

TEST_CASE("exit_counts: conforms and counts each kind on its own") {
    exit_counts stats;
    exit_stats_suite(stats);
    stats.count(exit_kind::halt);
    for (std::size_t k = 0; k < exit_kinds; ++k)
        CHECK(stats.counts[k] == (static_cast<exit_kind>(k) == exit_kind::halt ? 2 : 1));
}

TEST_CASE("exit_times: conforms and sums the time of each kind on its own") {
    exit_times stats;
    exit_stats_suite(stats);
    stats.add_time(exit_kind::halt, nanos{1000});
    for (std::size_t k = 0; k < exit_kinds; ++k) {
        CHECK(stats.counts[k] == 1);
        CHECK(stats.handling[k] == nanos{static_cast<std::int64_t>(k) + (static_cast<exit_kind>(k) == exit_kind::halt ? 1000 : 0)});
    }
}

namespace {
/// Moves the clock by 7 ns in each of its functions, and answers differently from the table.
struct slow_policy {
    manual_clock& clock;
    exit_verdict spend(exit_action action) noexcept {
        clock.advance(nanos{7});
        return {action, guest_end::none};
    }
    exit_verdict on_pio_in(pio_exit const&) noexcept { return spend(exit_action::resume); }
    exit_verdict on_pio_out(pio_exit const&) noexcept { return spend(exit_action::shutdown); }
    exit_verdict on_mmio_read(mmio_exit const&) noexcept { return spend(exit_action::resume); }
    exit_verdict on_mmio_write(mmio_exit const&) noexcept { return spend(exit_action::resume); }
    exit_verdict on_halt(halt_exit const&) noexcept { return spend(exit_action::resume); }
    exit_verdict on_shutdown(shutdown_exit const&) noexcept { return spend(exit_action::resume); }
    exit_verdict on_system_event(system_event_exit const&) noexcept { return spend(exit_action::resume); }
    exit_verdict on_fail_entry(fail_entry_exit const&) noexcept { return spend(exit_action::fatal); }
    exit_verdict on_internal_error(internal_error_exit const&) noexcept { return spend(exit_action::fatal); }
    exit_verdict on_debug(debug_exit const&) noexcept { return spend(exit_action::resume); }
    exit_verdict on_unknown(unknown_exit const&) noexcept { return spend(exit_action::resume); }
};
} // namespace

TEST_CASE("timed_exits: hands each exit on, gives its answer back, and books the time under its kind") {
    manual_clock clock;
    slow_policy policy{clock};
    exit_times stats;
    timed_exits<slow_policy, exit_times, manual_clock> timed(policy, stats, clock);
    static_assert(ExitPolicy<decltype(timed)>);
    CHECK(timed.on_pio_in({}).action == exit_action::resume);
    CHECK(timed.on_pio_out({}).action == exit_action::shutdown);
    static_cast<void>(timed.on_mmio_read({}));
    static_cast<void>(timed.on_mmio_write({}));
    static_cast<void>(timed.on_halt({}));
    static_cast<void>(timed.on_shutdown({}));
    static_cast<void>(timed.on_system_event({}));
    CHECK(timed.on_fail_entry({}).action == exit_action::fatal);
    static_cast<void>(timed.on_internal_error({}));
    static_cast<void>(timed.on_debug({}));
    static_cast<void>(timed.on_unknown({}));
    for (std::size_t k = 0; k < exit_kinds; ++k)
        CHECK(stats.handling[k] == nanos{static_cast<exit_kind>(k) == exit_kind::interrupted ? 0 : 7});
}
