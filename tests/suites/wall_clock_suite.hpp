// SPDX-License-Identifier: Apache-2.0
/// \file
/// What every `WallClock` model promises beyond its signature.
#pragma once

#include "ktstr/dev/cmos_rtc.hpp"

#include <doctest/doctest.h>

TEST_CASE_TEMPLATE_DEFINE("WallClock: gives a moment in this calendar's reach and does not race", C, wall_clock_suite) {
    static_assert(ktstr::explain_wall_clock<C>());
    C const clock{};
    auto const first = clock.unix_seconds();
    auto const second = clock.unix_seconds();
    CHECK(second - first >= 0);
    CHECK(second - first < 60);
    CHECK(ktstr::to_calendar(first).year >= 1970);
    CHECK(ktstr::to_calendar(first).year < 2100);
}
