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
