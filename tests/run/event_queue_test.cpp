// SPDX-License-Identifier: Apache-2.0
#include "ktstr/run/event_queue.hpp"

#include "ktstr/sys/thread.hpp"

#include <array>
#include <cstdint>
#include <doctest/doctest.h>
#include <vector>

using namespace ktstr;

// The one known report is in Boost's free list; event_queue.hpp says why it is harmless. Everything else counts.
extern "C" char const* __tsan_default_suppressions() {
    return "race:boost::lockfree::detail::fixed_size_freelist\n"
           "race:boost::lockfree::detail::tagged_index\n";
}

TEST_CASE("event_queue: a full queue refuses and counts, and gives back what it took in order") {
    event_queue<int, 4> q;
    int taken = 0;
    for (int i = 0; i < 10; ++i)
        taken += q.push(i) ? 1 : 0;
    CHECK(taken == 4);
    CHECK(q.dropped() == 6);
    for (int i = 0; i < 4; ++i)
        CHECK(q.pop() == i);
    CHECK_FALSE(q.pop());
}

TEST_CASE("event_queue: many producers lose nothing that was accepted, and each one's order holds") {
    struct event {
        std::uint32_t who, number;
    };
    event_queue<event, 64> q;
    constexpr std::uint32_t producers = 4, each = 2000;
    std::vector<thread> threads;
    for (std::uint32_t who = 0; who < producers; ++who) {
        auto t = thread::start("producer", [&q, who] {
            for (std::uint32_t n = 0; n < each; ++n)
                while (!q.push({who, n}))
                    ::sched_yield();
        });
        REQUIRE(t);
        threads.push_back(std::move(*t));
    }
    std::array<std::uint32_t, producers> next{};
    bool ordered = true;
    for (std::uint32_t got = 0; got < producers * each;) {
        if (auto const e = q.pop()) {
            ordered = ordered && e->number == next[e->who]++;
            ++got;
        }
    }
    CHECK(ordered);
    CHECK_FALSE(q.pop());
}
