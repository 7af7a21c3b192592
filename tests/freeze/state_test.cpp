// SPDX-License-Identifier: Apache-2.0
#include "ktstr/freeze/transition.hpp"

#include "freeze/freeze_page.hpp"
#include "ktstr/sys/io.hpp"
#include "suites/snapshot_mode_suite.hpp"

#include <doctest/doctest.h>
#include <variant>

using namespace ktstr;

namespace {
// Written by hand from the issue, not from the table: "-" stays out, "." keeps the state.
template <class Mode, std::size_t States, std::size_t Events>
void compare(std::string_view const (&want)[States][Events]) {
    static_assert(States == freeze_states<Mode> && Events == freeze_events<Mode>);
    for (std::size_t s = 0; s < States; ++s)
        for (std::size_t e = 0; e < Events; ++e) {
            auto const from = static_cast<typename Mode::state>(s);
            auto const event = static_cast<typename Mode::event>(e);
            CAPTURE(state_name<Mode>(from));
            CAPTURE(event_name<Mode>(event));
            auto const to = next<Mode>(from, event);
            CHECK((to ? state_name<Mode>(*to) : std::string_view("-")) == want[s][e]);
        }
}

template <class T, class Variant>
inline constexpr bool holds = false;
template <class T, class... Ts>
inline constexpr bool holds<T, std::variant<Ts...>> = (std::is_same_v<T, Ts> || ...);
} // namespace

TEST_CASE("freeze states, single: every pair") {
    compare<single_snapshot>({{"done", "done", "done", "idle"}, //
                              {"-", "-", "-", "done"}});
}

TEST_CASE("freeze states, dual: every pair") {
    compare<dual_snapshot>({{"took_early", "done", "done", "done", "idle"}, //
                            {"-", "done", "done", "done", "took_early"},
                            {"-", "-", "-", "-", "done"}});
}

TEST_CASE("freeze states: a machine with one snapshot has no trace of the early one") {
    static_assert(!has_took_early<single_snapshot>);
    static_assert(has_took_early<dual_snapshot>);
    static_assert(!holds<early_age, single_snapshot::trigger_type>);
    static_assert(holds<early_age, dual_snapshot::trigger_type>);
    static_assert(freeze_states<single_snapshot> == 2 && freeze_states<dual_snapshot> == 3);
    static_assert(freeze_events<single_snapshot> == 4 && freeze_events<dual_snapshot> == 5);
    for (auto const name : single_snapshot::event_names)
        CHECK(name.find("early") == std::string_view::npos);
}

TEST_CASE("freeze states: both modes keep the suite of SnapshotMode") {
    snapshot_mode_suite<single_snapshot>();
    snapshot_mode_suite<dual_snapshot>();
}

TEST_CASE("freeze states: values outside the enumerations lead nowhere and have names that say so") {
    static_assert(!next<single_snapshot>(static_cast<single_snapshot::state>(2), single_snapshot::event::late_captured));
    static_assert(!next<dual_snapshot>(dual_snapshot::state::idle, static_cast<dual_snapshot::event>(5)));
    CHECK(state_name<single_snapshot>(static_cast<single_snapshot::state>(9)) == "unknown state");
    CHECK(event_name<dual_snapshot>(static_cast<dual_snapshot::event>(9)) == "unknown event");
}

TEST_CASE("freeze states: from everywhere the late trigger is answered at most once") {
    using e = dual_snapshot::event;
    using s = dual_snapshot::state;
    for (auto const first : {e::late_captured, e::late_degraded, e::late_suppressed})
        for (auto const start : {s::idle, s::took_early}) {
            auto const after = next<dual_snapshot>(start, first);
            REQUIRE(after);
            for (auto const second : {e::early, e::late_captured, e::late_degraded, e::late_suppressed})
                CHECK(!next<dual_snapshot>(*after, second));
        }
}

TEST_CASE("freeze states: the documentation is what the code says") {
    auto const page = read_file(KTSTR_SOURCE_ROOT "/docs/state-machines/freeze.md");
    REQUIRE(page);
    INFO("run freeze-page --write");
    CHECK(*page == freeze_page::page());
}
