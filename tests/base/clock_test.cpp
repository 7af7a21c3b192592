// SPDX-License-Identifier: Apache-2.0
#include "ktstr/base/clock.hpp"

#include "suites/clock_suite.hpp"

using namespace ktstr;

TEST_CASE("manual_clock: conforms, and stands still until it is moved") {
    manual_clock clock;
    clock_suite(clock, [](manual_clock& c) { c.advance(nanos{1}); });
    CHECK(clock.now() == nanos{1});
    clock.advance(seconds(2));
    CHECK(clock.now() == nanos{2'000'000'001});
    CHECK(clock.now() == nanos{2'000'000'001});
}

TEST_CASE("monotonic_clock: conforms and counts nanoseconds") {
    monotonic_clock clock;
    clock_suite(clock, [](monotonic_clock const& c) {
        for (auto const until = c.now() + nanos{1}; c.now() < until;) {
        }
    });
    timespec ts{};
    ::clock_gettime(CLOCK_MONOTONIC, &ts);
    auto const difference = clock.now() - nanos{std::int64_t{ts.tv_sec} * 1'000'000'000 + ts.tv_nsec};
    CHECK(difference >= nanos{0});
    CHECK(difference < seconds(60));
}
