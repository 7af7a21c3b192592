// SPDX-License-Identifier: Apache-2.0
#include "ktstr/freeze/request_gate.hpp"

#include <doctest/doctest.h>
#include <limits>
#include <string>

using namespace ktstr;
using wire::snapshot_kind;
using wire::snapshot_request;

TEST_CASE("request gate: before the host is ready requests wait, in order; nobody overtakes") {
    request_gate gate;
    CHECK(gate.submit({1, snapshot_kind::capture, "a"}, nanos{0}) == request_verdict::accepted);
    CHECK(gate.submit({2, snapshot_kind::watch, "jiffies"}, nanos{0}) == request_verdict::accepted);
    CHECK(gate.submit({3, snapshot_kind::capture, "b"}, nanos{0}) == request_verdict::accepted);
    CHECK(!gate.next());
    gate.captures_ready();
    CHECK(gate.next()->request_id == 1);
    CHECK(!gate.next()); // 3 does not overtake 2
    CHECK(gate.waiting() == 2);
    gate.watches_ready();
    CHECK(gate.next()->request_id == 2);
    CHECK(gate.next()->request_id == 3);
    CHECK(!gate.next());
    CHECK(gate.submit({4, snapshot_kind::capture, "c"}, nanos{0}) == request_verdict::accepted);
    CHECK(gate.abandon()->request_id == 4);
    CHECK(!gate.abandon());
}

TEST_CASE("request gate: duplicates, bad tags and too many waiting are refused with a reason") {
    request_gate gate(request_limits{1000, 1000, 4, 1000});
    auto const refuse = [&](snapshot_request r, std::string_view why) {
        CHECK(gate.submit(std::move(r), nanos{0}) == request_verdict::refused);
        CHECK(gate.refusal().find(why) != std::string_view::npos);
    };
    CHECK(gate.submit({1, snapshot_kind::capture, std::string(63, 'x')}, nanos{0}) == request_verdict::accepted);
    refuse({1, snapshot_kind::capture, "again"}, "used before");
    refuse({2, snapshot_kind::capture, std::string(64, 'x')}, "63");
    refuse({2, snapshot_kind::capture, ""}, "empty");
    refuse({2, snapshot_kind::capture, "../etc"}, "letters");
    refuse({2, snapshot_kind::capture, ".hidden"}, "letters");
    refuse({2, snapshot_kind::capture, "a/b"}, "letters");
    refuse({2, snapshot_kind::watch, "a\nb"}, "printable");
    refuse({2, snapshot_kind::watch, std::string("a\0b", 3)}, "printable");
    refuse({2, snapshot_kind::watch, "\xc3\xa9"}, "printable");
    CHECK(gate.submit({2, snapshot_kind::watch, "sym+8:4!=-1"}, nanos{0}) == request_verdict::accepted); // a refused id is not used up
    CHECK(gate.submit({3, snapshot_kind::capture, "c"}, nanos{0}) == request_verdict::accepted);
    CHECK(gate.submit({0, snapshot_kind::capture, "d"}, nanos{0}) == request_verdict::accepted);
    refuse({5, snapshot_kind::capture, "e"}, "wait");
    CHECK(gate.accepted() == 4);
    CHECK(gate.refused() == 10);
}

TEST_CASE("request gate: a flood costs neither memory nor answers") {
    request_gate gate(request_limits{10, 5, 1000, 20});
    std::uint32_t accepted = 0;
    std::uint32_t refused = 0;
    std::uint32_t dropped = 0;
    for (std::uint32_t i = 0; i < 100'000; ++i) {
        // One second in all.
        switch (gate.submit({i, snapshot_kind::capture, "x"}, nanos{std::int64_t{i} * 10'000})) {
        case request_verdict::accepted: ++accepted; break;
        case request_verdict::refused: ++refused; break;
        case request_verdict::dropped: ++dropped; break;
        }
    }
    CHECK(accepted == 5 + 9);
    CHECK(refused == 20 + 19);
    CHECK(dropped == 100'000 - accepted - refused);
    CHECK(gate.dropped() == dropped);
    CHECK(gate.waiting() == accepted);
    CHECK(gate.submit({200'000, snapshot_kind::capture, "later"}, seconds(10)) == request_verdict::accepted);
}

TEST_CASE("token bucket: extremes of the clock") {
    token_bucket b(1, 1);
    CHECK(b.take(nanos{std::numeric_limits<std::int64_t>::min()}));
    CHECK(!b.take(nanos{std::numeric_limits<std::int64_t>::min()}));
    CHECK(b.take(nanos{std::numeric_limits<std::int64_t>::max()}));
    CHECK(!b.take(nanos{0})); // the clock went back
    token_bucket never(0, 1);
    CHECK(never.take(nanos{0}));
    CHECK(!never.take(seconds(100'000)));
    token_bucket big(0xffffffff, 0xffffffff);
    for (int i = 0; i < 1000; ++i)
        REQUIRE(big.take(seconds(i * 100'000)));
}
