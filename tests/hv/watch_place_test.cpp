// SPDX-License-Identifier: Apache-2.0
#include "ktstr/hv/watch_place.hpp"

#include <doctest/doctest.h>

using namespace ktstr;

TEST_CASE("watch place: nothing is watched, and nothing was hit, to begin with") {
    watch_places const none{};
    CHECK(none.size() == 4);
    for (auto const& p : none)
        CHECK(p.size == 0);
    CHECK(none[0] == watch_place{});
    CHECK(debug_cause{} == debug_cause{0, false});
}
