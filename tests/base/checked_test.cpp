// SPDX-License-Identifier: Apache-2.0
#include "ktstr/base/checked.hpp"

#include <doctest/doctest.h>

using namespace ktstr;

static constexpr auto top64 = std::numeric_limits<std::uint64_t>::max();

TEST_CASE("checked_add and checked_mul give nothing instead of a wrapped number") {
    CHECK(checked_add<std::uint8_t>(200, 55) == 255);
    CHECK_FALSE(checked_add<std::uint8_t>(200, 56));
    CHECK_FALSE(checked_add<std::uint64_t>(top64, 1));
    CHECK(checked_mul<std::uint32_t>(65536, 65535) == 4294901760U);
    CHECK_FALSE(checked_mul<std::uint32_t>(65536, 65536));
    CHECK(checked_mul<std::uint64_t>(top64, 0) == 0);
}

TEST_CASE("narrow keeps the value and its sign or gives nothing") {
    CHECK(narrow<std::uint8_t>(255) == 255);
    CHECK_FALSE(narrow<std::uint8_t>(256));
    CHECK_FALSE(narrow<std::uint8_t>(-1));
    CHECK_FALSE(narrow<std::uint64_t>(-1)); // same bits, other value
    CHECK_FALSE(narrow<std::int64_t>(top64));
    CHECK(narrow<std::int8_t>(-128) == -128);
    CHECK_FALSE(narrow<std::int8_t>(-129));
    CHECK_FALSE(narrow<std::int32_t>(std::uint32_t{0x80000000}));
}

TEST_CASE("fits: edges and numbers that would overflow a sum") {
    CHECK(fits(0, 0, 0));
    CHECK(fits(10, 0, 10));
    CHECK_FALSE(fits(11, 0, 10));
    CHECK(fits(4, 6, 10));
    CHECK_FALSE(fits(4, 7, 10));
    CHECK_FALSE(fits(top64, 2, 10));
    CHECK_FALSE(fits(2, top64, 10));
    CHECK(fits(0, top64, top64));
}

TEST_CASE("align_down and align_up") {
    CHECK(align_down(4095, 4096) == 0);
    CHECK(align_down(4096, 4096) == 4096);
    CHECK(align_up(0, 4096) == 0);
    CHECK(align_up(1, 4096) == 4096);
    CHECK(align_up(4096, 4096) == 4096);
    CHECK(align_up(top64 - 4095, 4096) == top64 - 4095);
    CHECK_FALSE(align_up(top64 - 4094, 4096));
}

TEST_CASE("bits_for counts what is needed to tell n values apart") {
    CHECK(bits_for(0) == 0);
    CHECK(bits_for(1) == 0);
    CHECK(bits_for(2) == 1);
    CHECK(bits_for(3) == 2);
    CHECK(bits_for(4) == 2);
    CHECK(bits_for(5) == 3);
    CHECK(bits_for(0x80000000) == 31);
    CHECK(bits_for(0xffffffff) == 32);
}
