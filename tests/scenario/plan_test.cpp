// SPDX-License-Identifier: Apache-2.0
#include "ktstr/scenario/plan.hpp"

#include "ktstr/scenario/builtin.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace ktstr;

namespace {
/// Every field different from its default.
plan full() {
    plan p;
    p.mode = run_mode::exec;
    p.scenario = "x";
    p.duration_ns = 1, p.seed = 2;
    p.cgroups = {{"a", {0, 2}, 3, work_type::mixed, 50}, {"b-1_z", {}, 1, work_type::bursty, 10000}};
    p.topology = make_topology_plan(topology{2, 2, 2, 1}, {{bytes{1 * GiB}, bytes{2 * GiB}}, {10, 21, 21, 10}});
    p.host_cpus = 2;
    p.checks = {1, 2, 3, 4, false, false, false, "simple"};
    p.fault = {fault_kind::hang, 1, 0, 5};
    p.arguments = {"ls", "-l"}, p.environment = {"A=b"}, p.folder = "/tmp", p.forward_stdin = true;
    p.rows = 50, p.columns = 132, p.leave = leave_by::power_off, p.go_timeout_ns = 6, p.stop_grace_ns = 7;
    return p;
}
} // namespace

TEST_CASE("plan: goes and comes back whole") {
    auto const raw = encode_plan(full());
    REQUIRE(raw);
    auto const back = decode_plan(*raw);
    REQUIRE(back);
    CHECK(*back == full());
}

TEST_CASE("plan: refuses every truncation, another magic, another version, a byte too many") {
    auto raw = *encode_plan(full());
    for (std::size_t n = 0; n < raw.size(); ++n)
        CHECK(!decode_plan(std::span(raw).first(n)));
    auto bad = raw;
    bad[0] = std::byte{'X'};
    CHECK(decode_plan(bad).error().where == "plan.magic");
    bad = raw;
    bad[4] = std::byte{9};
    CHECK(decode_plan(bad).error() == error{errc::unsupported, 0, 9, "plan.version"});
    raw.push_back(std::byte{0});
    CHECK(decode_plan(raw).error().code == errc::bad_format);
}

TEST_CASE("plan: validation names the field") {
    auto const refused = [](auto change) {
        auto p = full();
        p.mode = run_mode::scenario;
        p.fault = {};
        change(p);
        auto const done = validate(p);
        return done ? std::string_view("accepted") : done.error().where;
    };
    CHECK(refused([](plan&) {}) == "accepted");
    CHECK(refused([](plan& p) { p.cgroups[0].name = ""; }) == "plan.cgroup.name");
    CHECK(refused([](plan& p) { p.cgroups[0].name = "../x"; }) == "plan.cgroup.name");
    CHECK(refused([](plan& p) { p.cgroups[1].name = "a"; }) == "plan.cgroup.name");
    CHECK(refused([](plan& p) { p.cgroups[0].cpus = {2, 0}; }) == "plan.cgroup.cpus");
    CHECK(refused([](plan& p) { p.cgroups[0].cpus = {4}; }) == "plan.cgroup.cpus");
    CHECK(refused([](plan& p) { p.cgroups[0].weight = 0; }) == "plan.cgroup.weight");
    CHECK(refused([](plan& p) { p.cgroups[0].workers = 5000; }) == "plan.workers");
    CHECK(refused([](plan& p) { p.cgroups.clear(); }) == "plan.workers");
    CHECK(refused([](plan& p) { p.cgroups.resize(65, p.cgroups[0]); }) == "plan.cgroups");
    CHECK(refused([](plan& p) { p.fault = {fault_kind::stop_worker, 0, 3, 0}; }) == "plan.fault");
    CHECK(refused([](plan& p) { p.fault = {fault_kind::stop_worker, 2, 0, 0}; }) == "plan.fault");
    CHECK(refused([](plan& p) { p.topology.llcs = 3; }) == "topology.llcs_per_node");
    CHECK(refused([](plan& p) { p.topology.distances = {1}; }).starts_with("numa.distance"));
    CHECK(refused([](plan& p) { p.mode = run_mode::exec, p.arguments.clear(); }) == "plan.arguments");
}

TEST_CASE("plan: the shape and the nodes come back out of a request") {
    topology const t{2, 4, 2, 2};
    numa_layout const n{{bytes{1 * GiB}, bytes{1 * GiB}, bytes{2 * GiB}}, {}};
    auto const request = make_topology_plan(t, n);
    CHECK(shape_of(request) == t);
    CHECK(layout_of(request) == n);
    CHECK(cpus_of(request) == 16);
}

TEST_CASE("plan: faults and work types have names of their own") {
    std::set<std::string_view> names;
    for (int i = 0; i <= static_cast<int>(last_of(fault_kind{})); ++i)
        CHECK(names.insert(name_of(static_cast<fault_kind>(i))).second);
    for (int i = 0; i <= static_cast<int>(last_of(work_type{})); ++i)
        CHECK(names.insert(name_of(static_cast<work_type>(i))).second);
    CHECK(!names.contains(""));
}
