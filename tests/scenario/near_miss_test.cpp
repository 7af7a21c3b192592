// SPDX-License-Identifier: Apache-2.0
#include "ktstr/scenario/near_miss.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string>

using namespace ktstr;

TEST_CASE("near_miss: distances") {
    CHECK(edit_distance("", "") == 0);
    CHECK(edit_distance("steady", "steady") == 0);
    CHECK(edit_distance("stedy", "steady") == 1);
    CHECK(edit_distance("setady", "steady") == 1);
    CHECK(edit_distance("abc", "") == 3);
    CHECK(edit_distance("kitten", "sitting") == 3);
    CHECK(edit_distance(std::string(200, 'a'), "b") == 200);
}

TEST_CASE("near_miss: suggests what is close and nothing else") {
    constexpr std::array<std::string_view, 3> names{"steady", "oversubscribed", "cpuset-split"};
    CHECK(near_miss("stedy", names) == "steady");
    CHECK(near_miss("Steady", names) == "steady");
    CHECK(near_miss("cpuset_split", names) == "cpuset-split");
    CHECK(near_miss("oversubscrbed", names) == "oversubscribed");
    CHECK(near_miss("frobnicate", names).empty());
    CHECK(near_miss("", names).empty());
    CHECK(near_miss("x", {}).empty());
}
