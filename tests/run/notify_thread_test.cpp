// SPDX-License-Identifier: Apache-2.0
#include "ktstr/run/notify_thread.hpp"

#include <atomic>
#include <doctest/doctest.h>

using namespace ktstr;

TEST_CASE("notify_thread: each event reaches its own index, and stop ends the thread") {
    auto a = unique_fd::eventfd();
    auto b = unique_fd::eventfd();
    REQUIRE(a);
    REQUIRE(b);
    std::atomic<int> served[2]{};
    auto io = notify_thread::start("io", {a->get(), b->get()}, [&](std::size_t i) { ++served[i]; });
    REQUIRE(io);
    std::uint64_t const one = 1;
    REQUIRE(::write(b->get(), &one, sizeof one) == sizeof one);
    while (served[1] == 0)
        ::sched_yield();
    io->stop();
    CHECK(served[0] == 0);
    CHECK(served[1] == 1);
    CHECK(io->service().slices > 0);
    io->stop();
}
