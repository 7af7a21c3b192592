// SPDX-License-Identifier: Apache-2.0
#include "ktstr/scenario/shares.hpp"

#include "scenario/healthy_run.hpp"

#include <doctest/doctest.h>

using namespace ktstr;
using fake::run;

TEST_CASE("shares: together they are what was delivered") {
    run r("steady", 1);
    auto const table = make_shares(r.wanted, r.seen, measure_delivery(r.wanted, r.seen));
    double sum = 0;
    for (auto const& s : table.workers)
        sum += s.got_ns;
    CHECK(sum == doctest::Approx(5e9));
    CHECK(table.unit_ns == doctest::Approx(2000).epsilon(0.01));
    CHECK(table.pace_percent == doctest::Approx(95).epsilon(0.01));
    CHECK(table.used_percent == doctest::Approx(100).epsilon(0.01));
}

TEST_CASE("shares: disjoint pools are compared with themselves only") {
    run r("cpuset-split");
    // The host gave the second half of the machine a tenth: nobody there was treated unfairly.
    for (auto& w : r.seen.workers)
        if (w.cgroup == 1)
            w.work_units /= 10, w.cpu_ns /= 10;
    for (auto const& s : make_shares(r.wanted, r.seen, measure_delivery(r.wanted, r.seen)).workers)
        CHECK(s.percent() == doctest::Approx(100).epsilon(0.01));
}

TEST_CASE("shares: yielding workers are compared with their like, sleepers not at all") {
    run r("oversubscribed");
    for (auto& w : r.seen.workers)
        if (w.cgroup == 1)
            w.work_units /= 50, w.cpu_ns /= 50;
    for (auto const& s : make_shares(r.wanted, r.seen, measure_delivery(r.wanted, r.seen)).workers) {
        CHECK(s.judged);
        CHECK(s.percent() == doctest::Approx(100).epsilon(0.01));
    }
    r.wanted.cgroups[1].work = work_type::sleep_wake;
    for (auto const& s : make_shares(r.wanted, r.seen, measure_delivery(r.wanted, r.seen)).workers)
        CHECK(s.judged == (r.seen.workers[s.report].cgroup == 0));
}

TEST_CASE("shares: without the host's accounts the guest's stand in") {
    run r;
    r.seen.at_end.vcpus.clear();
    auto const d = measure_delivery(r.wanted, r.seen);
    auto const table = make_shares(r.wanted, r.seen, d);
    CHECK(table.pace_percent == 0);
    CHECK(table.used_percent == doctest::Approx(100).epsilon(0.01));
    CHECK(table.workers[0].percent() == doctest::Approx(100).epsilon(0.01));
    r.wanted.host_cpus = 1;
    auto const declared = measure_delivery(r.wanted, r.seen);
    CHECK(measure_gap(r.seen, declared, table, r.seen.workers[0]).by_service_ns == 2'000'000);
}

TEST_CASE("shares: a worker on a CPU that got nothing is not starved by the guest; one that waited is") {
    worker_share s{.report = 0, .got_ns = 3, .fair_ns = 100};
    CHECK(s.blamed_percent() == doctest::Approx(3));
    s.charged_percent = 150; // the guest had it on a CPU all the time
    CHECK(s.blamed_percent() == doctest::Approx(100));
    s.charged_percent = 4;
    CHECK(s.blamed_percent() == doctest::Approx(4));
    s.got_ns = 130; // work cannot be talked away
    CHECK(s.blamed_percent() == doctest::Approx(130));
}
