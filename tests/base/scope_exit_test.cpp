// SPDX-License-Identifier: Apache-2.0
#include "ktstr/base/scope_exit.hpp"

#include <doctest/doctest.h>

using namespace ktstr;

TEST_CASE("scope_exit: runs once at the end, in reverse order, and not after release") {
    int order = 0;
    int first = 0;
    int second = 0;
    int never = 0;
    {
        scope_exit const a([&] { first = ++order; });
        scope_exit const b([&] { second = ++order; });
        scope_exit c([&] { never = ++order; });
        c.release();
        CHECK(order == 0);
    }
    CHECK(second == 1);
    CHECK(first == 2);
    CHECK(never == 0);
}
