// SPDX-License-Identifier: Apache-2.0
#include "ktstr/scenario/fair_share.hpp"

#include "ktstr/scenario/builtin.hpp"

#include <doctest/doctest.h>

using namespace ktstr;

namespace {
plan on(std::uint32_t cpus, std::vector<cgroup_plan> groups) {
    plan p;
    p.topology = make_topology_plan(topology{1, 1, cpus, 1});
    p.cgroups = std::move(groups);
    return p;
}
} // namespace

TEST_CASE("fair_share: pools are what competes, directly or through others") {
    auto const p = on(8, {{.name = "a", .cpus = {0, 1}},
                          {.name = "b", .cpus = {4, 5}},
                          {.name = "c", .cpus = {1, 2}},
                          {.name = "d", .cpus = {2, 3}}});
    auto const pools = share_pools(p);
    REQUIRE(pools.size() == 2);
    CHECK(pools[0].cgroups == std::vector<std::uint32_t>{1});
    CHECK(pools[1].cgroups == std::vector<std::uint32_t>{0, 2, 3});
    CHECK(pools[1].cpus == std::vector<std::uint32_t>{0, 1, 2, 3});
}

TEST_CASE("fair_share: equal, weighted, capped by one CPU a worker") {
    auto const steady = fair_cpus(on(4, {{.name = "a", .workers = 4}, {.name = "b", .workers = 4}}));
    CHECK(steady == std::vector<double>{0.5, 0.5});
    auto const unequal = fair_cpus(on(4, {{.name = "a", .workers = 8}, {.name = "b", .workers = 4}}));
    CHECK(unequal == std::vector<double>{0.25, 0.5});
    auto const weighted = fair_cpus(on(4, {{.name = "a", .workers = 4, .weight = 300}, {.name = "b", .workers = 4}}));
    CHECK(weighted[0] == doctest::Approx(0.75));
    CHECK(weighted[1] == doctest::Approx(0.25));
    auto const capped = fair_cpus(on(4, {{.name = "a", .workers = 1}, {.name = "b", .workers = 6}}));
    CHECK(capped == std::vector<double>{1.0, 0.5});
    auto const split = fair_cpus(*make_builtin("cpuset-split", make_topology_plan(topology{1, 1, 5, 1})));
    CHECK(split == std::vector<double>{0.5, 0.5});
    CHECK(fair_cpus(on(2, {{.name = "a", .workers = 0}})) == std::vector<double>{0.0});
}
