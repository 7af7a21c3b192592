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

namespace {
/// Stands still when told to, and counts how it was asked.
struct still {
    static constexpr bool enabled = true;
    struct shared {
        std::atomic<bool> wanted{false};
        std::atomic<int> parked{0}, ended{0};
        int kick = -1;
    };
    shared* s;
    void entering() noexcept {}
    void returned() noexcept {}
    bool wanted() noexcept { return s->wanted.exchange(false); }
    void park() noexcept { ++s->parked; }
    void settle() noexcept {}
    void await() noexcept {}
    void ended() noexcept { ++s->ended; }
};
} // namespace

TEST_CASE("notify_thread: parks when it is kicked, and serves afterwards") {
    auto a = unique_fd::eventfd();
    REQUIRE(a);
    std::atomic<int> served{0};
    still::shared place;
    auto io = notify_thread::start("io", {a->get()}, [&](std::size_t) { ++served; },
                                   [&](int kick) -> result<still> {
                                       place.kick = kick;
                                       return still{&place};
                                   });
    REQUIRE(io);
    std::uint64_t const one = 1;
    place.wanted = true;
    REQUIRE(::write(place.kick, &one, sizeof one) == sizeof one);
    while (place.parked == 0)
        ::sched_yield();
    REQUIRE(::write(a->get(), &one, sizeof one) == sizeof one);
    while (served == 0)
        ::sched_yield();
    io->stop();
    CHECK(place.ended == 1);
    CHECK(served == 1);
}
