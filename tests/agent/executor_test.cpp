// SPDX-License-Identifier: Apache-2.0
// Scenarios with real worker processes on this machine, without cgroups: short runs, no sleeps of our own.
#include "ktstr/agent/executor.hpp"

#include "agent/host_end.hpp"

#include "ktstr/scenario/builtin.hpp"

using namespace ktstr;
using namespace ktstr::agent;

namespace {

/// Counts moves and can refuse one.
struct recording_groups : no_cgroups {
    int moves = 0;
    int refuse = -1;
    result<> move(std::string_view, pid_t) noexcept {
        if (moves++ == refuse)
            return fail(errc::busy, "cgroup.procs");
        return {};
    }
};

plan short_plan(std::uint64_t ms = 40) {
    plan p;
    p.topology = make_topology_plan(topology{1, 1, 2, 1});
    p.cgroups = {{.name = "a", .workers = 2}, {.name = "b", .workers = 1}};
    p.duration_ns = ms * 1'000'000;
    p.stop_grace_ns = 20'000'000'000;
    return p;
}

template <class Groups>
result<> run(plan const& p, session& guest, Groups& groups) {
    return run_scenario(p, guest, groups);
}

} // namespace

TEST_CASE("executor: workers are moved first, run together, and report") {
    session guest;
    fake::host_end host(guest);
    recording_groups groups;
    REQUIRE(run(short_plan(400), guest, groups));
    CHECK(groups.moves == 3);
    auto const reports = host.all<wire::worker_report>();
    REQUIRE(reports.size() == 3);
    for (auto const& w : reports) {
        CHECK(w.end == wire::worker_end::finished);
        CHECK(w.work_units > 0);
        CHECK(w.iterations > 0);
        CHECK(w.wall_ns > 0);
        CHECK(w.cpu_ns > 0);
        CHECK(w.fastest_unit_ps > 0);
        CHECK(!w.cpus_used.empty());
        std::uint64_t sum = 0;
        for (auto const u : w.cpu_units)
            sum += u;
        CHECK(sum == w.work_units);
    }
    CHECK(reports[2].cgroup == 1);
    auto const start = host.all<wire::scenario_start>();
    auto const end = host.all<wire::scenario_end>();
    REQUIRE(start.size() == 1);
    REQUIRE(end.size() == 1);
    CHECK(end[0].guest_ns - start[0].guest_ns >= 400'000'000);
    CHECK(!end[0].early);
    CHECK(host.all<wire::cgroup_report>().size() == 2);
    std::vector<wire::agent_phase> phases;
    for (auto const& ph : host.all<wire::phase>())
        phases.push_back(ph.id);
    CHECK(phases == std::vector{wire::agent_phase::cgroups, wire::agent_phase::spawn, wire::agent_phase::run,
                                wire::agent_phase::stop, wire::agent_phase::collect});
    CHECK(host.counts().garbage == 0);
}

TEST_CASE("executor: a worker that cannot be moved ends the run before anybody works") {
    session guest;
    fake::host_end host(guest);
    recording_groups groups;
    groups.refuse = 1;
    auto const done = run(short_plan(), guest, groups);
    REQUIRE(!done);
    CHECK(done.error().where == "cgroup.procs");
    CHECK(guest.at() == wire::agent_phase::spawn);
    CHECK(host.all<wire::scenario_start>().empty());
}

TEST_CASE("executor: a stop request ends the run early and says so") {
    session guest;
    fake::host_end host(guest);
    host.send(wire::stop_request{});
    no_cgroups groups;
    REQUIRE(run(short_plan(60'000), guest, groups));
    auto const end = host.all<wire::scenario_end>();
    REQUIRE(end.size() == 1);
    CHECK(end[0].early);
    CHECK(host.all<wire::worker_report>().size() == 3);
}

TEST_CASE("executor: a host that goes away ends the run") {
    session guest;
    fake::host_end host(guest);
    host.close();
    no_cgroups groups;
    CHECK(run(short_plan(60'000), guest, groups));
    CHECK(guest.host_gone());
}

TEST_CASE("executor: a stopped worker is killed after its grace, its open wait reported") {
    session guest;
    fake::host_end host(guest);
    no_cgroups groups;
    auto p = short_plan(1200); // long enough for everybody to have begun on a loaded machine
    p.fault = {fault_kind::stop_worker, 0, 1, 600'000'000};
    p.stop_grace_ns = 300'000'000;
    REQUIRE(run(p, guest, groups));
    for (auto const& w : host.all<wire::worker_report>()) {
        bool const victim = w.cgroup == 0 && w.index == 1;
        CHECK(w.end == (victim ? wire::worker_end::killed_after_stop : wire::worker_end::finished));
        if (victim) {
            CHECK(w.gap_ns > 50'000'000);
            CHECK(w.gap_at_ns > 0);
        }
    }
    CHECK(host.text(wire::stream::log) == "fault: stop\n");
}

TEST_CASE("executor: a worker that dies is reported with its signal") {
    session guest;
    fake::host_end host(guest);
    no_cgroups groups;
    auto p = short_plan(1200);
    p.fault = {fault_kind::worker_exit, 1, 0, 600'000'000};
    REQUIRE(run(p, guest, groups));
    auto const reports = host.all<wire::worker_report>();
    CHECK(reports[2].end == wire::worker_end::signaled);
    CHECK(reports[2].end_code == SIGTERM);
    CHECK(reports[0].end == wire::worker_end::finished);
}

TEST_CASE("executor: rubbish on the port does not harm the frames around it") {
    session guest;
    fake::host_end host(guest);
    no_cgroups groups;
    auto p = short_plan();
    p.fault = {fault_kind::port_garbage, 0, 0, 0};
    REQUIRE(run(p, guest, groups));
    CHECK(host.all<wire::worker_report>().size() == 3);
    CHECK(host.counts().garbage == 16 * 4096);
}

TEST_CASE("executor: every work type works, sleepers measure their wakes") {
    for (int w = 0; w <= static_cast<int>(last_of(work_type{})); ++w) {
        session guest;
        fake::host_end host(guest);
        no_cgroups groups;
        auto p = short_plan(300);
        p.cgroups = {{.name = "a", .workers = 1, .work = static_cast<work_type>(w)}};
        REQUIRE(run(p, guest, groups));
        auto const reports = host.all<wire::worker_report>();
        REQUIRE(reports.size() == 1);
        CAPTURE(name_of(static_cast<work_type>(w)));
        CHECK(reports[0].work_units > 0);
        CHECK((reports[0].wakes > 0) ==
              (static_cast<work_type>(w) == work_type::sleep_wake || static_cast<work_type>(w) == work_type::bursty));
    }
}
