// SPDX-License-Identifier: Apache-2.0
// What these types refuse is tests/compile_fail/address_spaces.cpp.
#include "ktstr/base/units.hpp"

#include <doctest/doctest.h>
#include <type_traits>

using namespace ktstr;

static_assert(!std::is_convertible_v<std::uint64_t, gpa> && !std::is_convertible_v<gpa, std::uint64_t>);
static_assert(!std::is_convertible_v<gpa, gva> && !std::is_constructible_v<gpa, gva>);
static_assert(sizeof(gpa) == 8 && sizeof(vcpu_index) == 4 && std::is_trivially_copyable_v<gpa>);

TEST_CASE("units: addresses move by plain counts and differ by plain counts") {
    CHECK(gpa{0x1000} + 0x20 == gpa{0x1020});
    CHECK(gpa{0x1020} - gpa{0x1000} == 0x20);
    CHECK(gva{~std::uint64_t{0}} + 1 == gva{0});
    CHECK(gpa{1} < gpa{2});
    CHECK(bytes{3} + bytes{4} - bytes{2} == bytes{5});
    CHECK(vcpu_index{1} > vcpu_index{});
}

TEST_CASE("units: time and size constants") {
    CHECK(millis(3) == nanos{3'000'000});
    CHECK(seconds(2) - millis(500) == nanos{1'500'000'000});
    CHECK(GiB == std::uint64_t{1} << 30);
    CHECK(MiB == 1048576);
    CHECK(KiB == 1024);
}
