// SPDX-License-Identifier: Apache-2.0
#include "ktstr/mem/region.hpp"

#include <array>
#include <doctest/doctest.h>

using namespace ktstr;

TEST_CASE("lay_out_ram: nothing is lost to the hole and a straddling node gets two regions") {
    std::array const nodes{bytes{2 * GiB}, bytes{3 * GiB}};
    auto const hole = gpa_range{gpa{3 * GiB}, bytes{1 * GiB}};
    auto const regions = lay_out_ram(nodes, hole);
    REQUIRE(regions);
    REQUIRE(regions->size() == 3);
    CHECK((*regions)[0] == ram_region{{gpa{0}, bytes{2 * GiB}}, 0, bytes{0}});
    CHECK((*regions)[1] == ram_region{{gpa{2 * GiB}, bytes{1 * GiB}}, 1, bytes{2 * GiB}});
    CHECK((*regions)[2] == ram_region{{gpa{4 * GiB}, bytes{2 * GiB}}, 1, bytes{3 * GiB}});
}

TEST_CASE("lay_out_ram: a node without memory gets no region; an odd size is refused") {
    std::array const nodes{bytes{64 * MiB}, bytes{0}, bytes{64 * MiB}};
    auto const regions = lay_out_ram(nodes, {});
    REQUIRE(regions);
    CHECK(regions->size() == 2);
    CHECK((*regions)[1].node == 2);
    std::array const odd{bytes{4097}};
    CHECK(lay_out_ram(odd, {}).error().where == "ram.node_size");
}

TEST_CASE("lay_out_ram: RAM that ends at the hole, starts behind it, or passes the address limit") {
    gpa_range const hole{gpa{3 * GiB}, bytes{1 * GiB}};
    std::array const exact{bytes{3 * GiB}, bytes{1 * GiB}};
    auto const regions = lay_out_ram(exact, hole).value();
    REQUIRE(regions.size() == 2);
    CHECK(regions[1] == ram_region{{gpa{4 * GiB}, bytes{1 * GiB}}, 1, bytes{3 * GiB}});
    std::array const huge{bytes{std::uint64_t{1} << 52}};
    CHECK(lay_out_ram(huge, {}));
    CHECK(lay_out_ram(huge, hole).error().where == "ram.layout");
    std::array const top{bytes{4096}};
    gpa_range const everything{gpa{0}, bytes{std::uint64_t{1} << 53}};
    CHECK(lay_out_ram(top, everything).error().code == errc::out_of_range);
    CHECK(lay_out_ram({}, hole)->empty());
}

TEST_CASE("gpa_range: half open") {
    constexpr gpa_range range{gpa{0x1000}, bytes{0x1000}};
    static_assert(range.contains(gpa{0x1000}) && range.contains(gpa{0x1fff}));
    static_assert(!range.contains(gpa{0x2000}) && !range.contains(gpa{0xfff}));
    static_assert(range.end() == gpa{0x2000});
    CHECK_FALSE(gpa_range{}.contains(gpa{0}));
}
