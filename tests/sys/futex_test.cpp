// SPDX-License-Identifier: Apache-2.0
#include "ktstr/sys/futex.hpp"

#include "ktstr/sys/membarrier.hpp"
#include "ktstr/sys/thread.hpp"

#include <atomic>
#include <doctest/doctest.h>

using namespace ktstr;

TEST_CASE("futex_wait: returns at once when the word is another, after the time when nobody wakes it, and when woken") {
    std::atomic<std::uint32_t> word{1};
    futex_wait(word, 0, seconds(60));
    futex_wait(word, 1, millis(1));
    std::atomic<bool> up{false};
    auto sleeper = thread::start("sleeper", [&]() noexcept {
        while (word.load() == 1)
            futex_wait(word, 1, seconds(60));
        up = true;
    });
    REQUIRE(sleeper);
    word = 2;
    futex_wake_all(word);
    sleeper->join();
    CHECK(up);
}

TEST_CASE("membarrier: a process that registered gets its barrier") {
    auto const registered = register_membarrier();
    if (registered)
        CHECK(membarrier_all());
    else
        CHECK(registered.error().where == "membarrier.register");
}
