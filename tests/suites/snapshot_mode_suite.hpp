// SPDX-License-Identifier: Apache-2.0
/// \file
/// What every model of `SnapshotMode` keeps: it starts idle, the late trigger leads to done once, the end of the run
/// changes nothing, and states and events have names of their own.
#pragma once

#include "ktstr/freeze/transition.hpp"

#include <doctest/doctest.h>
#include <set>
#include <string_view>

template <ktstr::SnapshotMode M>
void snapshot_mode_suite() {
    static_assert(ktstr::explain_snapshot_mode<M>());
    using state = typename M::state;
    using event = typename M::event;
    CHECK(static_cast<int>(state::idle) == 0);
    for (auto const late : {event::late_captured, event::late_degraded, event::late_suppressed}) {
        CHECK(ktstr::next<M>(state::idle, late) == state::done);
        CHECK(!ktstr::next<M>(state::done, late));
    }
    std::set<std::string_view> names;
    for (std::size_t s = 0; s < ktstr::freeze_states<M>; ++s) {
        auto const at = static_cast<state>(s);
        CHECK(ktstr::next<M>(at, event::run_ended) == at);
        CHECK(names.insert(ktstr::state_name<M>(at)).second);
    }
    for (std::size_t e = 0; e < ktstr::freeze_events<M>; ++e)
        CHECK(names.insert(ktstr::event_name<M>(static_cast<event>(e))).second);
}
