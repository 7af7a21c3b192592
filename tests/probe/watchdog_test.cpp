// SPDX-License-Identifier: Apache-2.0
#include "ktstr/probe/watchdog.hpp"

#include "ktstr/base/clock.hpp"

#include <cerrno>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

using namespace ktstr;

namespace {
/// Reads from an empty pipe: only a signal ends it.
int blocked_read() {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    char byte = 0;
    auto const n = ::read(ends[0], &byte, 1);
    auto const number = n < 0 ? errno : 0;
    ::close(ends[0]);
    ::close(ends[1]);
    return number;
}
} // namespace

TEST_CASE("watchdog: ends a call that blocks, again and again") {
    REQUIRE(install_kick_handler());
    auto const dog = watchdog::start(millis(1));
    REQUIRE(dog);
    CHECK(blocked_read() == EINTR);
    CHECK(blocked_read() == EINTR); // The first signal is gone; the next one comes.
}

TEST_CASE("watchdog: a destroyed one bites nobody") {
    REQUIRE(install_kick_handler());
    { auto const dog = watchdog::start(seconds(1000)); }
    auto first = watchdog::start(seconds(1000));
    REQUIRE(first);
    auto const moved = std::move(*first);
    auto const late = watchdog::start(millis(1)); // Ends the read below; the others are silent.
    auto const from = monotonic_clock{}.now();
    CHECK(blocked_read() == EINTR);
    CHECK(monotonic_clock{}.now() - from < seconds(100));
}
