// SPDX-License-Identifier: Apache-2.0
#include "support/near_miss.hpp"

#include <array>
#include <doctest/doctest.h>

using namespace ktstr::tool;

namespace {
constexpr std::array<std::string_view, 5> names{"topology", "timeout", "memory", "machine", "run"};
}

TEST_CASE("near_miss: distances count insertions, deletions, replacements and swaps") {
    CHECK(edit_distance("", "abc") == 3);
    CHECK(edit_distance("abc", "abc") == 0);
    CHECK(edit_distance("kernel", "kernl") == 1);
    CHECK(edit_distance("memroy", "memory") == 1);
    CHECK(edit_distance("abcd", "wxyz") == 4);
}

TEST_CASE("near_miss: the nearest name, a beginning, or none") {
    CHECK(near_miss("topolgy", names) == "topology");
    CHECK(near_miss("time", names) == "timeout");
    CHECK(near_miss("memroy", names) == "memory");
    CHECK(near_miss("rn", names) == "run");
    CHECK(near_miss("xylophone", names).empty());
    CHECK(near_miss("", names).empty());
}

TEST_CASE("near_miss: the hint is a question or the list") {
    CHECK(hint("memroy", names) == "did you mean 'memory'?");
    CHECK(hint("zzzzzz", names) == "known are: topology timeout memory machine run");
}
