// SPDX-License-Identifier: Apache-2.0
#include "ktstr/scenario/delivery.hpp"

#include "scenario/healthy_run.hpp"

#include <doctest/doctest.h>

using namespace ktstr;
using fake::run;

TEST_CASE("delivery: as declared is 1, whatever was declared; less is less") {
    for (auto const host : {4U, 2U, 1U}) {
        run r("steady", host);
        auto const d = measure_delivery(r.wanted, r.seen);
        CHECK(d.known);
        CHECK(d.declared == 4.0 / host);
        CHECK(d.service == doctest::Approx(1.0));
        CHECK(d.cpu_ns == doctest::Approx(5e9 * host));
        r.deliver(0.5);
        CHECK(measure_delivery(r.wanted, r.seen).service == doctest::Approx(0.5));
    }
}

TEST_CASE("delivery: idle vCPUs are not noise") {
    run r("steady", 2);
    for (std::size_t i = 1; i < 4; ++i)
        r.seen.at_end.vcpus[i] = r.seen.at_start.vcpus[i];
    r.seen.at_end.vcpus[0] = {5'000'000'000, 0};
    CHECK(measure_delivery(r.wanted, r.seen).service == doctest::Approx(1.0));
}

TEST_CASE("delivery: accounts that are missing or run backwards are unknown") {
    run r;
    r.seen.at_end.vcpus[2].cpu_ns = -5;
    CHECK(!measure_delivery(r.wanted, r.seen).known);
    r.seen.at_end.vcpus.clear();
    CHECK(!measure_delivery(r.wanted, r.seen).known);
    CHECK(!measure_delivery(r.wanted, run_evidence{}).known);
}

TEST_CASE("delivery: accounts between samples are linear") {
    run r("steady", 1);
    auto const at = fake::run::host(fake::guest_start) + 150'000'000;
    CHECK(vcpu_at(r.seen, 0, at).cpu_ns == doctest::Approx(37.5e6));
    CHECK(vcpu_at(r.seen, 0, at).delay_ns == doctest::Approx(112.5e6));
    CHECK(vcpu_at(r.seen, 0, 0) == r.seen.at_start.vcpus[0]);
    CHECK(vcpu_at(r.seen, 0, INT64_MAX) == r.seen.at_end.vcpus[0]);
    CHECK(vcpu_at(r.seen, 9, at) == vcpu_time{});
    CHECK(offered_between(r.seen, 0, at, at + 1'000'000'000) == doctest::Approx(250e6));
}

TEST_CASE("delivery: stalls are lateness of the signs of life") {
    run r;
    auto const from = fake::guest_start, to = from + fake::guest_length;
    CHECK(stalled_between(r.seen, from, to, progress_period) == 0);
    std::erase_if(r.seen.progress, [&](progress_mark const& p) {
        return p.guest_ns > from + 1'000'000'000 && p.guest_ns < from + 3'000'000'000;
    });
    CHECK(stalled_between(r.seen, from, to, progress_period) == 1'375'000'000);
    CHECK(stalled_between(r.seen, from + 2'000'000'000, from + 2'500'000'000, progress_period) == 500'000'000);
    CHECK(stalled_between(r.seen, from + 4'000'000'000, to, progress_period) == 0);
}

TEST_CASE("delivery: the clock offset is that of the fastest message") {
    run r;
    for (auto& p : r.seen.progress)
        p.host_ns += 5'000'000;
    r.seen.progress[3].host_ns -= 4'000'000;
    CHECK(clock_offset(r.seen) == fake::host_offset);
    r.seen.at_start.host_ns += 9'000'000;
    r.seen.at_end.host_ns += 9'000'000;
    CHECK(clock_offset(r.seen) == fake::host_offset + 1'000'000);
    CHECK(clock_offset(run_evidence{}) == 0);
}

TEST_CASE("delivery: a service deadline runs with the clock for an idle guest and slowly for a starved one") {
    delivery_sample const begin{0, {{0, 0}, {0, 0}}};
    service_deadline const d{10'000'000'000, 100'000'000'000};
    CHECK(d.passed(begin, {11'000'000'000, {{0, 0}, {0, 0}}}));
    CHECK(!d.passed(begin, {9'000'000'000, {{0, 0}, {0, 0}}}));
    CHECK(!d.passed(begin, {40'000'000'000, {{0, 0}, {5'000'000'000, 32'000'000'000}}}));
    CHECK(d.passed(begin, {50'000'000'000, {{0, 0}, {5'000'000'000, 32'000'000'000}}}));
    CHECK(d.passed(begin, {101'000'000'000, {{0, 0}, {0, 101'000'000'000}}}));
}
