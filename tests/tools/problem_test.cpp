// SPDX-License-Identifier: Apache-2.0
#include "support/problem.hpp"

#include <cerrno>
#include <doctest/doctest.h>

using namespace ktstr::tool;

TEST_CASE("problem: what, where and remedy have a line each, empty ones none") {
    CHECK(text(problem{exit_code::bad_input, "a", "b", "c"}) == "error: a\n  where: b\n  remedy: c\n");
    CHECK(text(problem{exit_code::bad_input, "a", "", "c"}) == "error: a\n  remedy: c\n");
    CHECK(text(problem{exit_code::bad_input, "a", "", ""}) == "error: a\n");
}

TEST_CASE("problem: a library error is told with its system text, place and number") {
    auto const p =
        problem_from({ktstr::errc::permission, EACCES, 7, "open"}, exit_code::missing, "cannot open", "/dev/kvm", "x");
    CHECK(p.code == exit_code::missing);
    CHECK(p.what == "cannot open: permission denied: Permission denied (at open, value 7)");
    CHECK(describe({ktstr::errc::timeout, 0, 0, "go"}) == "timed out (at go)");
}
