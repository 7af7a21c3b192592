// SPDX-License-Identifier: Apache-2.0
#include "ktstr/scenario/builtin.hpp"

#include <doctest/doctest.h>

using namespace ktstr;

TEST_CASE("builtin: every scenario resolves for every shape of up to 252 CPUs, or says how many CPUs it needs") {
    for (auto const& s : scenarios())
        for (std::uint32_t cpus = 1; cpus <= max_cpus; ++cpus) {
            auto const p = make_builtin(s.name, make_topology_plan(topology{1, 1, cpus, 1}));
            if (s.name == "cpuset-split" && cpus == 1) {
                CHECK(p.error() == error{errc::unsupported, 0, 2, "scenario.cpus"});
                continue;
            }
            REQUIRE(p);
            CHECK(p->scenario == s.name);
            CHECK(p->cgroups.size() == 2);
            CHECK(validate(*p));
            CHECK(!s.about.empty());
        }
}

TEST_CASE("builtin: options reach the plan") {
    auto const p = make_builtin("steady", make_topology_plan(topology{1, 1, 4, 1}),
                                {.workers = 3, .duration_ns = 7, .seed = 8, .host_cpus = 2});
    REQUIRE(p);
    CHECK(p->cgroups[0].workers == 3);
    CHECK(p->duration_ns == 7);
    CHECK(p->seed == 8);
    CHECK(p->host_cpus == 2);
}

TEST_CASE("builtin: cpuset-split covers the machine with disjoint halves, the odd CPU in the second") {
    auto const p = *make_builtin("cpuset-split", make_topology_plan(topology{1, 1, 5, 1}));
    CHECK(p.cgroups[0].cpus == std::vector<std::uint32_t>{0, 1});
    CHECK(p.cgroups[1].cpus == std::vector<std::uint32_t>{2, 3, 4});
    CHECK(p.cgroups[0].workers == 4);
    CHECK(p.cgroups[1].workers == 6);
}

TEST_CASE("builtin: unknown names and impossible requests are refused") {
    auto const machine = make_topology_plan(topology{1, 1, 2, 1});
    CHECK(make_builtin("stedy", machine).error().code == errc::not_found);
    CHECK(make_builtin("steady", machine, {.workers = 3000}).error().where == "plan.workers");
    CHECK(make_builtin("steady", topology_plan{.cores = 1000}).error().where == "scenario.machine");
}
