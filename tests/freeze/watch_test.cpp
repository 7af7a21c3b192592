// SPDX-License-Identifier: Apache-2.0
#include "ktstr/freeze/watch.hpp"

#include "suites/split_memory.hpp"

#include <atomic>
#include <doctest/doctest.h>
#include <thread>
#include <vector>

using namespace ktstr;

namespace {

constexpr gva kernel{0xffffffff81000000};

struct machine {
    test::split_memory ram{gpa{0}, gpa{0x1000}, gpa{0x2000}};
    void store(gpa at, std::uint64_t value, std::uint8_t size) {
        std::array<std::byte, 8> raw{};
        for (std::size_t i = 0; i < 8; ++i)
            raw[i] = static_cast<std::byte>(value >> (8 * i));
        REQUIRE(write_guest(ram, at, std::span<std::byte const>(raw).first(size)));
    }
};

watch_request request(std::uint64_t offset = 0, watch_predicate when = {}, std::uint8_t size = 4) {
    watch_request r;
    r.address = kernel + offset;
    r.size = size;
    r.place = gpa{0x100 + offset};
    r.when = when;
    r.tag = "w" + std::to_string(offset);
    r.captures = 1000;
    return r;
}

} // namespace

TEST_CASE("watch: what cannot be watched is refused with a reason") {
    auto const refuses = [](watch_request const& r, errc code, std::string_view where) {
        auto const got = check_watch(r);
        REQUIRE(!got);
        CHECK(got.error().code == code);
        CHECK(got.error().where == where);
    };
    auto r = request();
    CHECK(check_watch(r));
    r.size = 3;
    refuses(r, errc::invalid_argument, "watch.size");
    r.size = 0;
    refuses(r, errc::invalid_argument, "watch.size");
    r = request(2);
    refuses(r, errc::invalid_argument, "watch.align");
    r.size = 2;
    CHECK(check_watch(r));
    r = request();
    r.address = gva{0x00007ffffffff000};
    refuses(r, errc::out_of_range, "watch.address");
    r.address = gva{0};
    refuses(r, errc::out_of_range, "watch.address");
    r = request();
    r.place = gpa{0x102};
    refuses(r, errc::invalid_argument, "watch.place");
    r.place.reset();
    CHECK(check_watch(r));
    r.when.op = watch_op::equal;
    refuses(r, errc::unsupported, "watch.value");
}

TEST_CASE("watch: three slots for users, one for the scheduler's death; the fourth request is refused") {
    watch_set set;
    CHECK(!set.any_armed());
    CHECK(set.arm(request(0)) == 1U);
    CHECK(set.arm(request(8)) == 2U);
    CHECK(set.arm(request(0)) == 3U); // the same place twice is nobody's business
    auto const fourth = set.arm(request(16));
    REQUIRE(!fourth);
    CHECK(fourth.error() == error{errc::no_space, 0, 3, "watch.slots"});
    CHECK(!set.armed(death_slot));
    CHECK(set.arm_death(request(24, {watch_op::greater, 1023})));
    CHECK(set.arm_death(request(24)).error().code == errc::busy);
    set.disarm(2);
    CHECK(!set.armed(2));
    CHECK(set.arm(request(32)) == 2U);
    set.disarm(77); // nothing
    auto const places = set.places();
    CHECK(places[0] == watch_place{kernel + 24, 4});
    CHECK(places[2] == watch_place{kernel + 32, 4});
}

TEST_CASE("watch: a hit asks once for a freeze; others meanwhile are counted; served, it may ask again") {
    machine m;
    watch_set set;
    auto const slot = *set.arm(request(0));
    m.store(gpa{0x100}, 0x11223344, 4);
    auto first = set.on_debug({1U << slot, false}, m.ram, nanos{0});
    CHECK(first.action == watch_action::hit);
    CHECK(first.hits == 1U << slot);
    CHECK(first.known == 1U << slot);
    CHECK(first.values[slot] == 0x11223344);
    CHECK(set.pending() == 1U << slot);
    auto const second = set.on_debug({1U << slot, false}, m.ram, nanos{1});
    CHECK(second.action == watch_action::resume);
    CHECK(second.hits == 0);
    CHECK(!set.served(slot));
    CHECK(set.on_debug({1U << slot, false}, m.ram, nanos{2}).action == watch_action::hit);
    set.not_served(slot);
    CHECK(set.on_debug({1U << slot, false}, m.ram, nanos{3}).action == watch_action::hit);
    auto const r = set.report(slot);
    CHECK(r.exits == 4);
    CHECK(r.hits == 4);
    CHECK(r.merged == 1);
    CHECK(r.suppressed == 0);
    CHECK(r.captures == 1);
    CHECK(r.tag == "w0");
}

TEST_CASE("watch: a false predicate is counted and stops nobody") {
    machine m;
    watch_set set;
    auto const slot = *set.arm(request(8, {watch_op::equal, 5}, 8));
    for (std::uint64_t v = 1; v <= 10; ++v) {
        m.store(gpa{0x108}, v, 8);
        auto const d = set.on_debug({1U << slot, false}, m.ram, nanos{0});
        CHECK((d.action == watch_action::hit) == (v == 5));
        CHECK(d.suppressed == (v == 5 ? 0U : 1U << slot));
    }
    CHECK(set.report(slot).suppressed == 9);
    CHECK(set.report(slot).hits == 1);
}

TEST_CASE("watch: predicates") {
    struct row {
        watch_op op;
        std::uint64_t operand, value;
        bool holds;
    };
    for (auto const& r : {row{watch_op::any, 0, 7, true}, {watch_op::equal, 7, 7, true}, {watch_op::equal, 7, 8, false},
                          {watch_op::not_equal, 7, 7, false}, {watch_op::not_equal, 7, 8, true}, {watch_op::less, 7, 6, true},
                          {watch_op::less, 7, 7, false}, {watch_op::greater, 7, 8, true}, {watch_op::greater, 7, 7, false},
                          {watch_op::greater, 7, ~std::uint64_t{0}, true}, {watch_op::bits, 6, 2, true}, {watch_op::bits, 6, 9, false}})
        CHECK(watch_predicate{r.op, r.operand}.holds(r.value) == r.holds);
}

TEST_CASE("watch: only the bytes that are watched count") {
    machine m;
    watch_set set;
    auto r = request(0, {watch_op::equal, 0x34}, 1);
    auto const one = *set.arm(r);
    m.store(gpa{0x100}, 0xffffff34, 4);
    CHECK(set.on_debug({1U << one, false}, m.ram, nanos{0}).values[one] == 0x34);
    r = request(0x10, {watch_op::equal, 0xabcd}, 2);
    auto const two = *set.arm(r);
    m.store(gpa{0x110}, 0xffffabcd, 4);
    CHECK(set.on_debug({1U << two, false}, m.ram, nanos{0}).action == watch_action::hit);
}

TEST_CASE("watch: two places hit by one store") {
    machine m;
    watch_set set;
    auto const a = *set.arm(request(0));
    auto const b = *set.arm(request(0, {watch_op::equal, 1}));
    auto const d = set.on_debug({1U << a | 1U << b, true}, m.ram, nanos{0});
    CHECK(d.hits == 1U << a);
    CHECK(d.suppressed == 1U << b);
    CHECK(d.foreign);
    CHECK(set.foreign() == 1);
}

TEST_CASE("watch: exits that are not ours are left to the guest, and those of old registers do nothing") {
    machine m;
    watch_set set;
    auto const d = set.on_debug({0, true}, m.ram, nanos{0});
    CHECK(d.action == watch_action::resume);
    CHECK(d.foreign);
    auto const slot = *set.arm(request());
    set.disarm(slot);
    auto const old = set.on_debug({1U << slot, false}, m.ram, nanos{0});
    CHECK(old.action == watch_action::resume);
    CHECK(!old.foreign);
    CHECK(old.flooded == 1U << slot); // this vCPU's registers are to be set anew
    CHECK(set.stale() == 1);
    CHECK(set.report(slot).exits == 0);
}

TEST_CASE("watch: a value that cannot be read is worth a look") {
    machine m;
    watch_set set;
    auto r = request();
    r.place = gpa{0x8000};
    r.when = {watch_op::equal, 1};
    auto const slot = *set.arm(r);
    auto const d = set.on_debug({1U << slot, false}, m.ram, nanos{0});
    CHECK(d.action == watch_action::hit);
    CHECK(d.known == 0);
}

TEST_CASE("watch: one that fires too often is switched off, reported, and every vCPU that still meets it is told so") {
    machine m;
    watch_set set(watch_limits{10});
    auto const slot = *set.arm(request(0, {watch_op::equal, 99}));
    auto const before = set.changes();
    for (int i = 0; i < 10; ++i)
        CHECK(set.on_debug({1U << slot, false}, m.ram, nanos{i}).flooded == 0);
    CHECK(set.changes() == before);
    CHECK(set.on_debug({1U << slot, false}, m.ram, nanos{11}).flooded == 1U << slot);
    CHECK(set.changes() == before + 1);
    CHECK(set.on_debug({1U << slot, false}, m.ram, seconds(100)).flooded == 1U << slot); // for the rest of the run
    CHECK(set.changes() == before + 1);
    CHECK(set.places()[slot].size == 0);
    auto const r = set.report(slot);
    CHECK(r.flooded);
    CHECK(r.armed);
    CHECK(r.exits == 12);
    CHECK(r.suppressed == 12);
    set.disarm(slot);
    CHECK(*set.arm(request(8)) == slot); // the slot itself can be had again
    CHECK(!set.report(slot).flooded);
    CHECK(set.report(slot).exits == 0);
}

TEST_CASE("watch: the limit is per second: ten a second for ever is fine") {
    machine m;
    watch_set set(watch_limits{10});
    auto const slot = *set.arm(request(0, {watch_op::equal, 99}));
    for (int i = 0; i < 10'000; ++i)
        REQUIRE(set.on_debug({1U << slot, false}, m.ram, millis(i * 101)).flooded == 0);
}

TEST_CASE("watch: a slot is free after its captures; that of the scheduler's death never") {
    machine m;
    watch_set set;
    auto r = request();
    r.captures = 2;
    auto const slot = *set.arm(r);
    CHECK(set.on_debug({1U << slot, false}, m.ram, nanos{0}).action == watch_action::hit);
    CHECK(!set.served(slot));
    CHECK(set.on_debug({1U << slot, false}, m.ram, nanos{0}).action == watch_action::hit);
    CHECK(set.served(slot));
    CHECK(!set.armed(slot));
    CHECK(set.report(slot).captures == 2);
    CHECK(!set.served(slot));
    CHECK(!set.served(99));
    r.captures = 1;
    REQUIRE(set.arm_death(r));
    CHECK(!set.served(death_slot));
    CHECK(set.armed(death_slot));
}

TEST_CASE("watch: four vCPUs at once: of many hits exactly one asks, and no count is lost") {
    machine m;
    watch_set set(watch_limits{1'000'000'000});
    auto const slot = *set.arm(request());
    std::atomic<std::uint64_t> asked{0};
    std::vector<std::thread> vcpus;
    for (int t = 0; t < 4; ++t)
        vcpus.emplace_back([&] {
            for (int i = 0; i < 20'000; ++i)
                if (set.on_debug({1U << slot, false}, m.ram, nanos{i}).action == watch_action::hit)
                    asked.fetch_add(1);
        });
    for (auto& v : vcpus)
        v.join();
    CHECK(asked == 1);
    auto const r = set.report(slot);
    CHECK(r.exits == 80'000);
    CHECK(r.hits == 80'000);
    CHECK(r.merged == 79'999);
}
