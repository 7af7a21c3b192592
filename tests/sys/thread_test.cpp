// SPDX-License-Identifier: Apache-2.0
#include "ktstr/sys/thread.hpp"

#include <atomic>
#include <cstring>
#include <doctest/doctest.h>

using namespace ktstr;

TEST_CASE("thread: runs once, is joined by its owner, and is joined when its owner forgets") {
    std::atomic<int> runs{0};
    {
        auto started = thread::start("counter", [&runs] { ++runs; });
        REQUIRE(started);
        CHECK(started->joinable());
        started->join();
        CHECK(runs == 1);
        CHECK_FALSE(started->joinable());
        started->join();
        CHECK(started->cpu_time_ns() == 0);
    }
    {
        auto const forgotten = thread::start("forgotten", [&runs] { ++runs; });
        REQUIRE(forgotten);
    }
    CHECK(runs == 2);
}

TEST_CASE("thread: moving hands the join over, and assigning joins what was there") {
    std::atomic<int> runs{0};
    auto first = thread::start("first", [&runs] { ++runs; }).value();
    auto second = thread::start("second", [&runs] { ++runs; }).value();
    first = std::move(second);
    CHECK_FALSE(second.joinable());
    CHECK(first.joinable());
    thread const third(std::move(first));
    CHECK_FALSE(first.joinable());
    CHECK(third.joinable());
}

TEST_CASE("thread: has the name it was given, cut to what the kernel keeps, and blocks asynchronous signals") {
    char name[16]{};
    sigset_t mask;
    ::sigemptyset(&mask);
    pid_t id = 0;
    auto started = thread::start("a-name-longer-than-fifteen", [&] {
        // The owner names the thread after starting it: wait for that.
        for (int i = 0; i < 100'000'000 && std::strncmp(name, "a-name", 6) != 0; ++i)
            ::pthread_getname_np(::pthread_self(), name, sizeof name);
        ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
        id = this_thread_id();
    });
    REQUIRE(started);
    started->join();
    CHECK(std::strcmp(name, "a-name-longer-t") == 0);
    CHECK(::sigismember(&mask, SIGTERM) == 1);
    CHECK(::sigismember(&mask, SIGSEGV) == 0);
    CHECK(id != this_thread_id());
    sigset_t ours;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &ours);
    CHECK(::sigismember(&ours, SIGTERM) == 0); // starting a thread leaves the caller's mask alone
}
