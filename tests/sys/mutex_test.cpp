// SPDX-License-Identifier: Apache-2.0
#include "ktstr/sys/mutex.hpp"

#include <doctest/doctest.h>
#include <thread>

using namespace ktstr;

TEST_CASE("mutex: one holder at a time, and the guard lets go") {
    mutex m;
    int shared = 0;
    auto const work = [&] {
        for (int i = 0; i < 20000; ++i) {
            mutex_guard const hold(m);
            ++shared;
        }
    };
    std::thread other(work);
    work();
    other.join();
    CHECK(shared == 40000);
    REQUIRE(m.try_lock());
    bool second = true;
    std::thread([&] { second = m.try_lock(); }).join();
    CHECK_FALSE(second);
    m.unlock();
}

TEST_CASE("condition: a notified thread goes on; a deadline in the past returns at once") {
    mutex m;
    condition changed;
    bool ready = false;
    std::thread other([&] {
        mutex_guard const hold(m);
        ready = true;
        changed.notify_all();
    });
    {
        mutex_guard const hold(m);
        while (!ready)
            changed.wait(m);
        CHECK_FALSE(changed.wait_until(m, nanos{1}));
    }
    other.join();
}
