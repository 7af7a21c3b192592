// SPDX-License-Identifier: Apache-2.0
#include "ktstr/freeze/watch_poller.hpp"

#include "suites/split_memory.hpp"

#include <doctest/doctest.h>
#include <utility>
#include <vector>

using namespace ktstr;

namespace {
using seen = std::vector<std::pair<std::uint32_t, std::uint64_t>>;
struct bench {
    test::split_memory ram{gpa{0}, gpa{0x1000}, gpa{0x2000}};
    watch_set set;
    watch_poller poller;
    void store(std::uint32_t v) { REQUIRE(store_guest(ram, gpa{0x100}, v)); }
    seen look() {
        seen out;
        poller.look(set, ram, [&](std::uint32_t slot, std::uint64_t value) { out.emplace_back(slot, value); });
        return out;
    }
};
watch_request at(gpa place, watch_predicate when = {}) {
    watch_request r;
    r.address = gva{0xffffffff81000100};
    r.place = place;
    r.when = when;
    r.captures = 100;
    return r;
}
} // namespace

TEST_CASE("watch poller: the first look remembers, a change asks, no change does not") {
    bench b;
    CHECK(b.look().empty());
    auto const slot = *b.set.arm(at(gpa{0x100}));
    b.store(7);
    CHECK(b.look().empty());
    CHECK(b.look().empty());
    b.store(8);
    CHECK(b.look() == seen{{slot, 8}});
    CHECK(b.look().empty());
    b.store(9);
    CHECK(b.look().empty()); // its freeze is on the way
    CHECK(b.set.report(slot).merged == 1);
    static_cast<void>(b.set.served(slot));
    b.store(10);
    CHECK(b.look() == seen{{slot, 10}});
    CHECK(b.poller.looks() == 7);
}

TEST_CASE("watch poller: the predicate is asked of changes") {
    bench b;
    auto const slot = *b.set.arm(at(gpa{0x100}, {watch_op::greater, 100}));
    CHECK(b.look().empty());
    b.store(50);
    CHECK(b.look().empty());
    b.store(101);
    CHECK(b.look() == seen{{slot, 101}});
    CHECK(b.set.report(slot).suppressed == 1);
    CHECK(b.set.report(slot).exits == 2);
}

TEST_CASE("watch poller: a slot that is taken anew starts anew; one without a place is said to be blind") {
    bench b;
    auto const slot = *b.set.arm(at(gpa{0x100}));
    CHECK(b.look().empty());
    b.set.disarm(slot);
    b.store(5);
    CHECK(b.look().empty());
    CHECK(*b.set.arm(at(gpa{0x100})) == slot);
    CHECK(b.look().empty());
    b.set.disarm(slot);
    REQUIRE(store_guest(b.ram, gpa{0x200}, std::uint32_t{77}));
    CHECK(*b.set.arm(at(gpa{0x200})) == slot); // without a look in between
    CHECK(b.look().empty());
    b.set.disarm(slot);
    auto r = at(gpa{0x9000});
    CHECK(*b.set.arm(r) == slot);
    CHECK(b.look().empty());
    CHECK(b.poller.blind() == 1U << slot);
    r.place.reset();
    auto const second = *b.set.arm(r);
    CHECK(b.look().empty());
    CHECK(b.poller.blind() == (1U << slot | 1U << second));
}
