// SPDX-License-Identifier: Apache-2.0
#include "ktstr/scenario/verdict.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace ktstr;

TEST_CASE("verdict: the exit code of each outcome, and what strict changes") {
    struct row {
        outcome_kind outcome;
        int code, strict;
    };
    for (auto const& [outcome, normal, strict] :
         {row{outcome_kind::pass, 0, 0}, row{outcome_kind::fail, 1, 1}, row{outcome_kind::usage, 2, 2},
          row{outcome_kind::inconclusive, 3, 1}, row{outcome_kind::skip, 77, 1}, row{outcome_kind::host_error, 99, 99},
          row{outcome_kind::agent_crash, 99, 99}, row{outcome_kind::wall_limit, 124, 124},
          row{outcome_kind::guest_hang, 124, 124}, row{outcome_kind::interrupted, 143, 143},
          row{outcome_kind::guest_panic, 255, 255}}) {
        CAPTURE(name_of(outcome));
        CHECK(exit_code(outcome, false, 15) == normal);
        CHECK(exit_code(outcome, true, 15) == strict);
    }
}

TEST_CASE("verdict: every name is there and none twice") {
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < outcome_kinds; ++i)
        CHECK(names.insert(name_of(static_cast<outcome_kind>(i))).second);
    for (std::size_t i = 0; i < check_ids; ++i)
        CHECK(names.insert(name_of(static_cast<check_id>(i))).second);
    CHECK(names.count("unknown outcome") + names.count("unknown check") == 0);
    CHECK(name_of(static_cast<outcome_kind>(99)) == "unknown outcome");
}
