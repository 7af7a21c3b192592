// SPDX-License-Identifier: Apache-2.0
#include "ktstr/run/deadline.hpp"

#include <doctest/doctest.h>

using namespace ktstr;

TEST_CASE("deadline: running, then the soft request, then the hard stop") {
    deadline const d(nanos{100}, nanos{50}, nanos{10});
    CHECK(d.phase(nanos{100}) == deadline_phase::running);
    CHECK(d.phase(nanos{139}) == deadline_phase::running);
    CHECK(d.phase(nanos{140}) == deadline_phase::soft);
    CHECK(d.phase(nanos{149}) == deadline_phase::soft);
    CHECK(d.phase(nanos{150}) == deadline_phase::expired);
    CHECK(d.next_change(nanos{100}) == nanos{140});
    CHECK(d.next_change(nanos{145}) == nanos{150});
}

TEST_CASE("deadline: a budget that is not longer than the lead has no soft phase") {
    deadline const d(nanos{0}, nanos{10}, nanos{10});
    CHECK(d.phase(nanos{9}) == deadline_phase::running);
    CHECK(d.phase(nanos{10}) == deadline_phase::expired);
}

TEST_CASE("deadline: extensions add up by cause and say when they began") {
    deadline d(nanos{0}, nanos{100}, nanos{10});
    d.extend(extension_cause::freeze, nanos{20}, nanos{5});
    d.extend(extension_cause::scenario_pause, nanos{7}, nanos{6});
    d.extend(extension_cause::freeze, nanos{3}, nanos{9});
    CHECK(d.expiry() == nanos{130});
    REQUIRE(d.extensions().size() == 2);
    CHECK(d.extensions()[0].cause == extension_cause::freeze);
    CHECK(d.extensions()[0].by == nanos{23});
    CHECK(d.extensions()[0].at == nanos{5});
    CHECK(d.extensions()[0].times == 2);
    CHECK(d.phase(nanos{125}) == deadline_phase::soft);
}
