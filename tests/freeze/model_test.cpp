// SPDX-License-Identifier: Apache-2.0
// Every state of the rendezvous: three vCPUs, two requesters, store buffers, signals, deaths, lost patience.
#include "freeze/rendezvous_model.hpp"

#include <cstdlib>
#include <doctest/doctest.h>
#include <string>

using namespace freeze_model;

namespace {

void holds(char const* what, options const& how) {
    auto const found = machine(how).run();
    MESSAGE(std::string(what), ": ", found.states, " states, none bad");
    CAPTURE(found.trace);
    CHECK(found.complete);
    CHECK(found.violation == std::string());
}

options small(unsigned vcpus, unsigned requesters) {
    options o;
    o.vcpus = vcpus;
    o.requesters = requesters;
    return o;
}

} // namespace

TEST_CASE("rendezvous model: one vCPU, two requesters, each step by itself: lost patience, a death") {
    auto o = small(1, 2);
    holds("1 vCPU, 2 requesters", o);
    o.timeouts = true;
    o.deaths = 1;
    holds("the same with time limits and a death", o);
    o.park = false;
    holds("the same, quiesce only", o);
}

TEST_CASE("rendezvous model: one requester comes again and again, and time limits leave threads behind") {
    auto o = small(1, 1);
    o.freezes = 3;
    o.timeouts = true;
    holds("1 vCPU, 3 freezes in a row, time limits", o);
}

TEST_CASE("rendezvous model: two vCPUs, two requesters, each step by itself") {
    holds("2 vCPUs, 2 requesters", small(2, 2));
}

TEST_CASE("rendezvous model: two vCPUs, a death, lost patience") {
    auto o = small(2, 1);
    o.coarse = true;
    o.deaths = 1;
    o.timeouts = true;
    holds("2 vCPUs, a death, time limits", o);
}

TEST_CASE("rendezvous model: three vCPUs, two requesters") {
    auto o = small(3, 2);
    o.coarse = true;
    o.spurious = false;
    o.exits = 4; // the kind that has it all: to be completed, by a store
    if (std::getenv("KTSTR_MODEL_FULL") != nullptr) { // minutes, and gigabytes
        o.exits = 7;
        o.most = 400'000'000;
    }
    holds("3 vCPUs, 2 requesters", o);
}

TEST_CASE("rendezvous model: whatever is left out of the protocol is missed") {
    struct loss {
        mutation what;
        char const* says;
    };
    constexpr char const* written = "guest memory is written after quiesce said that it is still";
    constexpr char const* lost = "nobody can go on: a wake-up was lost";
    for (auto const& [what, says] :
         {loss{mutation::no_barrier, written}, loss{mutation::barrier_spares_guest, written},
          loss{mutation::no_recheck, written}, loss{mutation::hold_goes_on, written},
          loss{mutation::bell_wakes_first, lost}, loss{mutation::thaw_wakes_first, lost},
          loss{mutation::claim_in_two, "two holders at a time"},
          loss{mutation::any_generation, "a thread is not settled after park said so"},
          loss{mutation::clear_after_look, written}, loss{mutation::signal_only, written},
          loss{mutation::signal_lost, written}, loss{mutation::dead_say_nothing, lost},
          loss{mutation::dead_not_recounted, lost}, loss{mutation::uncounted_say_nothing, lost},
          loss{mutation::hold_leaves_silently, lost}, loss{mutation::leavers_not_recounted, lost},
          loss{mutation::leaves_late, lost}, loss{mutation::running_too_early, written}}) {
        std::string first;
        for (unsigned variant = 0; variant < 4 && first.empty(); ++variant) {
            auto o = small(2, 1);
            if (what == mutation::claim_in_two || what == mutation::any_generation)
                o = small(1, 2);
            if (what == mutation::clear_after_look) { // a kick must be left over from the freeze before
                o = small(1, 1);
                o.freezes = 2;
            }
            o.spurious = false;
            o.coarse = true;
            o.deaths = o.freezes == 1 ? 1 : 0;
            o.broken = what;
            o.park = variant % 2 == 0;
            o.timeouts = variant >= 2;
            first = machine(o).run().violation;
        }
        CAPTURE(static_cast<int>(what));
        CHECK(first == std::string(says));
    }
}
