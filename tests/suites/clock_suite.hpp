// SPDX-License-Identifier: Apache-2.0
/// \file
/// What every model of `Clock` does, beyond what its concept can say.
#pragma once

#include "ktstr/base/clock.hpp"

#include <doctest/doctest.h>

/// Never backwards, and forward after `pass(clock)`, which moves the clock or does something that takes time.
template <ktstr::Clock C, class Pass>
void clock_suite(C& clock, Pass pass) {
    static_assert(ktstr::explain_clock<C>());
    auto last = clock.now();
    for (int i = 0; i < 1000; ++i) {
        auto const now = clock.now();
        REQUIRE(now >= last);
        last = now;
    }
    pass(clock);
    CHECK(clock.now() > last);
}
