// SPDX-License-Identifier: Apache-2.0
#include "ktstr/freeze/periodic.hpp"

#include <doctest/doctest.h>
#include <limits>
#include <vector>

using namespace ktstr;

namespace {
std::vector<std::int64_t> boundaries(std::uint32_t n, nanos d, nanos floor = nanos{1}) {
    auto const b = periodic_boundaries::make({n, d, floor});
    REQUIRE(b);
    std::vector<std::int64_t> out;
    for (std::uint32_t i = 0; i < n; ++i)
        out.push_back(b->at(i).raw);
    return out;
}
using list = std::vector<std::int64_t>;
} // namespace

TEST_CASE("periodic: boundaries lie in the middle 80 per cent, evenly") {
    CHECK(boundaries(1, nanos{1000}) == list{500});
    CHECK(boundaries(3, nanos{1000}) == list{300, 500, 700});
    CHECK(boundaries(0, nanos{1000}).empty());
    CHECK(boundaries(2, nanos{1001}) == list{367, 634}); // margin 100, window 801
    CHECK(boundaries(4, seconds(10)) == list{2'600'000'000, 4'200'000'000, 5'800'000'000, 7'400'000'000});
}

TEST_CASE("periodic: exact for the longest run, as 128-bit arithmetic would have it") {
    auto const d = std::numeric_limits<std::int64_t>::max();
    for (std::uint32_t const n : {1U, 2U, 7U, 9999U}) {
        auto const b = periodic_boundaries::make({n, nanos{d}, nanos{1}});
        REQUIRE(b);
        __extension__ using wide = unsigned __int128;
        auto const margin = static_cast<std::uint64_t>(d) / 10;
        auto const window = static_cast<std::uint64_t>(d) - 2 * margin;
        std::int64_t before = 0;
        for (std::uint32_t i = 0; i < n; ++i) {
            auto const want = margin + static_cast<std::uint64_t>(static_cast<wide>(window) * (i + 1) / (n + 1));
            REQUIRE(b->at(i).raw == static_cast<std::int64_t>(want));
            REQUIRE(b->at(i).raw > before);
            before = b->at(i).raw;
        }
        CHECK(before < d - static_cast<std::int64_t>(margin));
    }
}

TEST_CASE("periodic: nonsense and too many are refused, with what would fit") {
    CHECK(periodic_boundaries::make({1, nanos{0}, nanos{1}}).error().code == errc::invalid_argument);
    CHECK(periodic_boundaries::make({1, nanos{-5}, nanos{1}}).error().where == "periodic.duration");
    CHECK(periodic_boundaries::make({1, nanos{5}, nanos{0}}).error().where == "periodic.floor");
    CHECK(periodic_boundaries::make({0, nanos{-5}, nanos{0}}));
    auto const many = periodic_boundaries::make({100, seconds(1), millis(100)});
    REQUIRE(!many);
    CHECK(many.error() == error{errc::out_of_range, 0, 7, "periodic.count"});
    CHECK(periodic_boundaries::make({7, seconds(1), millis(100)}));
    CHECK(periodic_boundaries::make({1, nanos{1}, millis(100)}).error().value == 0);
    CHECK(periodic_boundaries::make({10'000, nanos{std::numeric_limits<std::int64_t>::max()}, nanos{1}}).error().value == 9999);
    CHECK(periodic_boundaries::make({0xffffffff, nanos{std::numeric_limits<std::int64_t>::max()}, nanos{1}}).error().value == 9999);
    for (std::uint32_t n = 1; n <= 7; ++n) {
        auto const b = *periodic_boundaries::make({n, seconds(1), millis(100)});
        for (std::uint32_t i = 1; i < n; ++i)
            CHECK((b.at(i) - b.at(i - 1)).raw >= millis(100).raw - 1);
    }
}

TEST_CASE("periodic: due at the boundary, not before the start, each once, then nothing more") {
    periodic_schedule s(*periodic_boundaries::make({2, nanos{1000}, nanos{10}})); // 366, 633
    CHECK(s.wanted() == 2);
    CHECK(!s.due(nanos{5000}));
    CHECK(!s.next_at(nanos{5000}));
    s.start(nanos{100});
    s.start(nanos{9999});
    CHECK(s.next_at(nanos{100}) == nanos{466});
    CHECK(!s.due(nanos{465}));
    CHECK(s.due(nanos{466}) == 0U);
    CHECK(s.due(nanos{470}) == 0U); // asking does not take it
    s.fired(nanos{470});
    CHECK(!s.due(nanos{471}));
    CHECK(s.due(nanos{733}) == 1U);
    s.fired(nanos{733});
    CHECK(!s.due(nanos{100'000}));
    CHECK(!s.next_at(nanos{100'000}));
    CHECK(s.taken() == 2);
}

TEST_CASE("periodic: pauses and frozen time are no workload") {
    periodic_schedule s(*periodic_boundaries::make({1, nanos{1000}, nanos{10}})); // 500
    s.start(nanos{0});
    s.pause(nanos{400});
    s.pause(nanos{450}); // still the same pause
    CHECK(s.elapsed(nanos{5000}) == nanos{400});
    CHECK(!s.due(nanos{5000}));
    CHECK(!s.next_at(nanos{5000}));
    s.resume(nanos{1400});
    s.resume(nanos{1500}); // no pause to end
    CHECK(s.next_at(nanos{1400}) == nanos{1500});
    s.frozen(nanos{50});
    s.frozen(nanos{-50}); // nonsense
    CHECK(!s.due(nanos{1549}));
    CHECK(s.due(nanos{1550}) == 0U);
}

TEST_CASE("periodic: late ones are not left out, and keep their distance") {
    periodic_schedule s(*periodic_boundaries::make({3, nanos{1000}, nanos{100}})); // 300, 500, 700
    s.start(nanos{0});
    CHECK(s.due(nanos{690}) == 0U); // the gate was held all the time
    s.fired(nanos{690});
    CHECK(!s.due(nanos{789}));
    CHECK(s.next_at(nanos{700}) == nanos{790});
    CHECK(s.due(nanos{790}) == 1U);
    s.fired(nanos{790});
    CHECK(s.due(nanos{890}) == 2U);
}

TEST_CASE("periodic: two failures in a row give the rest up; a success between does not") {
    periodic_schedule s(*periodic_boundaries::make({5, nanos{100'000}, nanos{1}}));
    s.start(nanos{0});
    nanos const late{200'000};
    s.failed(late);
    s.fired(late + nanos{10});
    s.failed(late + nanos{20});
    CHECK(!s.gave_up());
    CHECK(s.due(late + nanos{30}) == 3U);
    s.failed(late + nanos{30});
    CHECK(s.gave_up());
    CHECK(!s.due(late + nanos{50}));
    CHECK(s.taken() == 1);
}

TEST_CASE("periodic: extremes of the clock neither overflow nor fire") {
    auto const last = std::numeric_limits<std::int64_t>::max();
    auto const first = std::numeric_limits<std::int64_t>::min();
    periodic_schedule s(*periodic_boundaries::make({1, nanos{last}, nanos{1}}));
    s.start(nanos{first});
    CHECK(s.elapsed(nanos{last}) == nanos{last});
    CHECK(s.due(nanos{last}) == 0U);
    periodic_schedule back(*periodic_boundaries::make({1, nanos{1000}, nanos{1}}));
    back.start(nanos{last - 10});
    CHECK(back.elapsed(nanos{0}) == nanos{0}); // before its start
    CHECK(!back.due(nanos{last}));
    CHECK(back.next_at(nanos{last}) == nanos{last});
    back.frozen(nanos{last});
    back.frozen(nanos{last});
    CHECK(back.elapsed(nanos{last}) == nanos{0});
    periodic_schedule none;
    none.start(nanos{0});
    CHECK(!none.due(nanos{last}));
    s.stop();
    CHECK(!s.due(nanos{last}));
}
