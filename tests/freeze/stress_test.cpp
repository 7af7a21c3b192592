// SPDX-License-Identifier: Apache-2.0
// The rendezvous with delays at every point, kicks that get lost and threads that die anywhere. Made for the thread
// sanitizer, too: "guest memory" here is plain, so it reports whatever is not ordered.
//   g++ -std=c++23 -O1 -g1 -fsanitize=thread -Wno-tsan ... tests/freeze/{stress,rendezvous}_test.cpp tests/doctest_main.cpp
// -Wno-tsan: kick.hpp has a standalone fence, between two accesses that the kernel orders as well.
#include "ktstr/freeze/rendezvous.hpp"

#include "ktstr/sys/thread.hpp"

#include <array>
#include <atomic>
#include <doctest/doctest.h>
#include <cstdlib>
#include <memory>
#include <sched.h>
#include <utility>

using namespace ktstr;

namespace {

/// Now and then a little time passes.
void jitter() noexcept {
    thread_local std::uint32_t x = static_cast<std::uint32_t>(this_thread_id()) * 2654435761U | 1U;
    x ^= x << 13, x ^= x >> 17, x ^= x << 5;
    if (x % 16 == 0)
        ::sched_yield();
    for (auto n = x % 64 == 1 ? x >> 20 : 0; n > 0; --n)
        std::atomic_signal_fence(std::memory_order_seq_cst);
}

template <FreezeFence F>
struct jittery_fence {
    static constexpr bool stops_guests = F::stops_guests;
    static void publish(std::atomic<std::uint32_t>& word, std::uint32_t value) noexcept {
        jitter();
        F::publish(word, value);
        jitter();
    }
    static bool heavy() noexcept {
        jitter();
        return F::heavy();
    }
    static result<> prepare() noexcept { return F::prepare(); }
};

template <Arrivals A>
class jittery_arrivals : public A {
public:
    void expect(std::uint32_t generation, std::uint32_t n) noexcept {
        A::expect(generation, n);
        jitter();
    }
    void arrived(std::uint32_t generation) noexcept {
        jitter();
        A::arrived(generation);
        jitter();
    }
};

constexpr std::size_t crew = 4;

/// Where a thread ends its life.
enum class death { never, running, exiting, holding, parked };

struct mate {
    std::uint64_t memory = 0; // what a guest and our handlers write: only between `returned` and `entering`
    std::atomic<std::uint32_t> kicked{0};
    std::atomic<bool> spins{false}; // stays in its guest until it is kicked
    std::atomic<death> dies{death::never};
    thread body;
};

template <class Point>
void live(Point point, mate& me, run_control const& control) {
    for (bool pending = false; !control.stopping();) {
        jitter();
        auto const dies = me.dies.load(std::memory_order_relaxed);
        if (point.wanted()) {
            if (!pending) {
                point.park();
                if (dies == death::parked)
                    break;
                continue;
            }
            point.settle();
            if (dies == death::holding)
                break;
            pending = false;
            continue;
        }
        point.entering();
        if (dies == death::running)
            break;
        while (me.spins && me.kicked.load(std::memory_order_acquire) == 0 && !control.stopping())
            ::sched_yield();
        me.kicked.store(0, std::memory_order_seq_cst);
        point.returned();
        if (dies == death::exiting)
            break;
        ++me.memory;
        pending = me.memory % 2 == 0;
    }
    point.ended();
}

template <class Rendezvous>
struct team {
    explicit team(bool spinning = false) {
        all = std::move(*Rendezvous::make(crew, control));
        for (std::size_t i = 0; i < crew; ++i) {
            mates[i].spins = spinning;
            start(i);
        }
    }
    ~team() { control.request_stop(stop_cause::supervisor); }
    void start(std::size_t i) {
        auto t = thread::start("mate", [this, i]() noexcept { live(all->point(i), mates[i], control); });
        REQUIRE(t);
        mates[i].body = std::move(*t);
    }
    /// One freeze; false when somebody did not answer in time.
    bool freeze(unsigned lose = 0) {
        REQUIRE(all->claim());
        std::array<unsigned, crew> lost{};
        auto const kick = [&](std::size_t i) {
            if (lost[i]++ >= lose)
                mates[i].kicked.store(1, std::memory_order_seq_cst);
        };
        monotonic_clock const clock;
        auto const until = clock.now() + seconds(20);
        static_cast<void>(all->quiesce(kick, until, clock));
        bool const whole = all->park(kick, until, clock) == freeze_step::reached;
        if (whole) {
            std::array<std::uint64_t, crew> before{};
            for (std::size_t i = 0; i < crew; ++i)
                before[i] = mates[i].memory;
            ::sched_yield();
            for (std::size_t i = 0; i < crew; ++i)
                CHECK(mates[i].memory == before[i]);
        }
        CHECK(all->release(clock.now() + seconds(20), clock) == freeze_step::reached);
        return whole;
    }

    run_control control;
    std::unique_ptr<Rendezvous> all;
    std::array<mate, crew> mates{}; // its threads are joined first
};

} // namespace

TEST_CASE_TEMPLATE("freeze stress: delays everywhere", R, rendezvous<jittery_arrivals<futex_arrivals>, jittery_fence<symmetric_fence>>,
                   rendezvous<jittery_arrivals<eventfd_arrivals>, jittery_fence<symmetric_fence>>,
                   rendezvous<jittery_arrivals<futex_arrivals>, jittery_fence<asymmetric_fence>>) {
    team<R> t;
    for (int cycle = 0; cycle < 300; ++cycle)
        REQUIRE(t.freeze());
}

TEST_CASE("freeze stress: a kick that gets lost is repeated") {
    team<rendezvous<jittery_arrivals<futex_arrivals>, jittery_fence<symmetric_fence>>> t(true);
    for (int cycle = 0; cycle < 5; ++cycle)
        REQUIRE(t.freeze(2));
}

TEST_CASE("freeze stress: a thread may die at any point, also during a freeze") {
    for (auto const how : {death::running, death::exiting, death::holding, death::parked}) {
        for (int round = 0; round < 20; ++round) {
            team<rendezvous<jittery_arrivals<futex_arrivals>, jittery_fence<symmetric_fence>>> t;
            REQUIRE(t.freeze());
            for (std::size_t i = 0; i < crew; ++i) { // one after the other, while somebody freezes
                t.mates[i].dies = how;
                REQUIRE(t.freeze());
            }
            REQUIRE(t.freeze()); // everybody is dead, or about to be
        }
    }
}

TEST_CASE("freeze stress: two requesters; one of them holds, the other is told so") {
    team<rendezvous<jittery_arrivals<futex_arrivals>, jittery_fence<symmetric_fence>>> t;
    std::atomic<int> won{0}, refused{0}, inside{0};
    auto const request = [&]() noexcept {
        monotonic_clock const clock;
        for (int i = 0; i < 200; ++i) {
            if (!t.all->claim()) {
                static_cast<void>(t.all->generation());
                ++refused;
                ::sched_yield();
                continue;
            }
            if (inside.fetch_add(1) != 0)
                std::abort();
            auto const until = clock.now() + seconds(20);
            static_cast<void>(t.all->quiesce([](std::size_t) {}, until, clock));
            if (t.all->park([](std::size_t) {}, until, clock) != freeze_step::reached)
                std::abort();
            inside.fetch_sub(1);
            static_cast<void>(t.all->release(until, clock));
            ++won;
        }
    };
    {
        auto other = thread::start("other", request);
        REQUIRE(other);
        request();
    }
    CHECK(won > 0);
    CHECK(won + refused == 400);
}
