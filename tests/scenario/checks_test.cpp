// SPDX-License-Identifier: Apache-2.0
#include "ktstr/scenario/checks.hpp"

#include "scenario/healthy_run.hpp"

#include <doctest/doctest.h>

using namespace ktstr;
using fake::run;

TEST_CASE("checks: a healthy run passes each of them, at any oversubscription") {
    for (auto const host : {4U, 2U, 1U}) {
        for (auto const& s : scenarios()) {
            run r(s.name, host);
            auto const v = r.judged();
            CAPTURE(s.name);
            CAPTURE(v.line);
            CHECK(v.outcome == outcome_kind::pass);
            for (auto const& c : v.checks) {
                CAPTURE(name_of(c.id));
                CHECK(c.state == check_state::pass);
            }
        }
    }
}

TEST_CASE("checks: topology") {
    run r;
    r.seen.topology->mismatches = {"cpu 3: declared, not online"};
    CHECK(r.check(check_id::topology).state == check_state::fail);
    CHECK(r.judged().outcome == outcome_kind::host_error);
    CHECK(r.judged().line == "topology: cpu 3: declared, not online");
    r.seen.topology->checked = false;
    CHECK(r.check(check_id::topology).state == check_state::not_run);
}

TEST_CASE("checks: kernel log, each event by its line; off when the plan says so") {
    for (auto const* const line : {"[ 1.0] BUG: unable to handle page fault for address: ffff",
                                   "[ 1.0] watchdog: BUG: soft lockup - CPU#1 stuck for 26s!",
                                   "[ 1.0] watchdog: Watchdog detected hard LOCKUP on cpu 2",
                                   "[ 1.0] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
                                   "[ 1.0] INFO: task kworker:1 blocked for more than 120 seconds."}) {
        run r;
        r.seen.kernel_log = std::string("[ 0.5] fine\n") + line + "\n";
        CAPTURE(line);
        auto const v = r.judged();
        CHECK(v.outcome == outcome_kind::fail);
        CHECK(v.line == std::string("kernel-log: ") + line);
        r.wanted.checks.kernel_log = false;
        CHECK(r.judged().outcome == outcome_kind::pass);
    }
    run r;
    r.seen.console = "[ 1.0] Oops: 0002 [#1] SMP\r\n";
    CHECK(r.judged().line == "kernel-log: [ 1.0] Oops: 0002 [#1] SMP");
}

TEST_CASE("checks: the scheduler named is the one that ran") {
    run r;
    r.wanted.checks.scheduler = "default";
    CHECK(r.check(check_id::scheduler).state == check_state::pass);
    r.wanted.checks.scheduler = "simple";
    CHECK(r.judged().line == "scheduler: simple was named, default ran");
    for (auto* const s : {&*r.seen.scheduler_before, &*r.seen.scheduler_after})
        s->state = "enabled", s->ops = "simple_1.0.8_x86", s->enable_seq = 1;
    CHECK(r.judged().outcome == outcome_kind::pass);
    CHECK(r.judged().scheduler == "simple_1.0.8_x86");
    r.seen.scheduler_after->state = "disabled";
    CHECK(r.judged().line == "scheduler: simple was named, default ran");
    r.wanted.checks.scheduler.clear();
    CHECK(r.judged().line == "scheduler: the scheduler changed during the run: simple_1.0.8_x86 before, default after");
    r.seen.scheduler_after = r.seen.scheduler_before;
    r.seen.scheduler_after->enable_seq = 3;
    CHECK(r.check(check_id::scheduler).state == check_state::fail);
    r.seen.scheduler_after->enable_seq = 1;
    r.seen.kernel_log = "[ 9.0] sched_ext: BPF scheduler \"simple\" disabled (runnable task stall)\n";
    CHECK(r.check(check_id::scheduler).state == check_state::fail);
    r.seen.kernel_log = "[ 9.0] sched_ext: BPF scheduler \"simple\" disabled (unregistered from user space)\n";
    CHECK(r.check(check_id::scheduler).state == check_state::pass);
}

TEST_CASE("checks: memory") {
    run r;
    r.seen.cgroups[1].oom_kills = 1;
    CHECK(r.judged().outcome == outcome_kind::fail);
    CHECK(r.judged().line == "memory: a process of cg_1 was killed for its memory");
    r.seen.cgroups[1].oom_kills = 0;
    r.seen.kernel_log = "[ 5.0] Memory cgroup out of memory: Killed process 77 (ktstr)\n";
    CHECK(r.check(check_id::memory).state == check_state::fail);
}

TEST_CASE("checks: lifetime") {
    run r;
    r.seen.workers[2].end = wire::worker_end::signaled;
    r.seen.workers[2].end_code = 11;
    CHECK(r.judged().line == "lifetime: cg_0 worker 2 was killed by signal 11");
    r.seen.workers[2].end = wire::worker_end::exited_early;
    CHECK(r.judged().line == "lifetime: cg_0 worker 2 exited early with code 11");
    r.seen.workers.erase(r.seen.workers.begin() + 2);
    CHECK(r.judged().line == "lifetime: 1 workers never reported");
}

TEST_CASE("checks: isolation") {
    run r("cpuset-split");
    CHECK(r.check(check_id::isolation).state == check_state::pass);
    r.seen.workers[0].cpus_used[0] |= 1U << 3;
    CHECK(r.judged().line == "isolation: cg_0 worker 0 ran on CPU 3, outside its cpuset");
    r.wanted.checks.isolation = false;
    CHECK(r.judged().outcome == outcome_kind::pass);
    run beyond;
    beyond.seen.workers[0].cpus_used = {1, 0, 1};
    CHECK(beyond.check(check_id::isolation).subject == "cg_0 worker 0 ran on CPU 128, outside its cpuset");
}

TEST_CASE("checks: progress; without delivered time it is nobody's fault") {
    run r;
    r.seen.workers[1].work_units = 0;
    CHECK(r.judged().line == "progress: cg_0 worker 1 did no work at all");
    r.deliver(0.002);
    CHECK(r.check(check_id::progress).state == check_state::inconclusive);
    r.wanted.checks.progress = false;
    CHECK(r.check(check_id::progress).state == check_state::not_run);
}

TEST_CASE("checks: starvation is relative to what was delivered, at 1x and at 4x") {
    for (auto const host : {4U, 1U}) {
        run r("steady", host);
        auto& victim = r.seen.workers[3];
        victim.work_units /= 20, victim.cpu_ns /= 20;
        auto const v = r.judged();
        CHECK(v.outcome == outcome_kind::fail);
        CHECK(v.line.starts_with("starvation: cg_0 worker 3, "));
        auto const c = r.check(check_id::starvation);
        CHECK(c.measured == doctest::Approx(5.67).epsilon(0.01));
        CHECK(c.bound == 10);
        r.wanted.checks.starvation_percent = 0;
        CHECK(r.check(check_id::starvation).state == check_state::not_run);
    }
}

TEST_CASE("checks: something else that takes the CPUs starves all workers together") {
    run r;
    for (auto& w : r.seen.workers)
        w.work_units /= 20, w.cpu_ns /= 20;
    auto const c = r.check(check_id::starvation);
    CHECK(c.state == check_state::fail);
    CHECK(c.subject == "all workers together");
    CHECK(c.measured == doctest::Approx(5.0).epsilon(0.01));
}

TEST_CASE("checks: time that vanishes below the host starves nobody") {
    run r("steady", 1);
    // Each batch took twenty times as long as the fastest one, and by the guest's accounts workers had the CPUs all along.
    for (auto& w : r.seen.workers)
        w.fastest_unit_ps /= 20;
    CHECK(r.check(check_id::starvation).state == check_state::pass);
    CHECK(r.judged().outcome == outcome_kind::pass);
}

TEST_CASE("checks: an emulator that loses time unseen is no starvation; nor is a kernel that charges no stolen time") {
    // The fastest batch ran twenty times as fast as the mean: nothing on the host's accounts shows why.
    run slow;
    for (auto& w : slow.seen.workers)
        w.fastest_unit_ps = 100'000;
    CHECK(slow.judged().outcome == outcome_kind::pass);
    // 16 vCPUs on one CPU, charged only what they had.
    run honest("steady", 1);
    honest.deliver(0.25);
    honest.make_workers();
    for (auto& w : honest.seen.workers)
        w.cpu_ns /= 16;
    CHECK(honest.check(check_id::starvation).state == check_state::pass);
}

TEST_CASE("checks: who had less than 25 slices to expect is not called starved") {
    run r("steady", 1);
    r.deliver(0.12);
    r.make_workers();
    auto& victim = r.seen.workers[3];
    victim.work_units /= 20, victim.cpu_ns /= 20;
    auto const c = r.check(check_id::starvation);
    CHECK(c.state == check_state::inconclusive);
    CHECK(c.measured < 10);
    CHECK(c.subject.find("run longer to be sure") != std::string::npos);
}

TEST_CASE("checks: too little delivered time and starvation cannot be judged") {
    run r;
    r.deliver(0.15);
    for (auto& w : r.seen.workers)
        w.work_units /= 10;
    r.wanted.duration_ns /= 10;
    for (auto* const s : {&r.seen.at_end})
        for (auto& v : s->vcpus)
            v.cpu_ns /= 50;
    CHECK(r.check(check_id::starvation).state == check_state::inconclusive);
    CHECK(r.judged().outcome == outcome_kind::inconclusive);
}

TEST_CASE("checks: spread within a cgroup; a run of few slices gets more room") {
    run r;
    r.wanted.checks.spread_percent = 20;
    r.seen.workers[0].work_units /= 2;
    r.seen.workers[1].work_units = r.seen.workers[1].work_units * 3 / 2;
    // Charged in full, so the missing half is its vCPU's: only the other one's surplus is the guest's doing.
    CHECK(r.check(check_id::spread).measured == doctest::Approx(50).epsilon(0.05));
    r.seen.workers[0].cpu_ns /= 2;
    auto const c = r.check(check_id::spread);
    CHECK(c.state == check_state::fail);
    CHECK(c.subject == "cg_0");
    CHECK(c.measured == doctest::Approx(100).epsilon(0.05));
    run thin("steady", 1);
    auto const t = thin.check(check_id::spread);
    CHECK(t.bound > c.bound);
    r.wanted.checks.spread_percent = 0;
    CHECK(r.check(check_id::spread).state == check_state::not_run);
}

TEST_CASE("checks: gap by work that others did meanwhile") {
    run r("steady", 1);
    auto& w = r.seen.workers[5];
    w.waited_units = 2'000'000; // 4 s at 2 us a unit
    w.waited_cpu = 2;
    CHECK(r.judged().outcome == outcome_kind::fail);
    CHECK(r.check(check_id::gap).subject == "cg_1 worker 1 on CPU 2");
    CHECK(r.check(check_id::gap).measured == doctest::Approx(4e9).epsilon(0.05));
    // A host that disturbs does not excuse it: others did work.
    r.deliver(0.4);
    r.wanted.checks.gap_ns = 1'000'000'000;
    CHECK(r.check(check_id::gap).state == check_state::fail);
    r.wanted.checks.gap_ns = 0;
    CHECK(r.check(check_id::gap).state == check_state::not_run);
}

TEST_CASE("checks: gap on the guest's clock counts only time that the host offered") {
    // Three seconds by the guest's clock: at 1x they were really there ...
    run r;
    auto const plant = [](run& x) {
        x.seen.workers[0].gap_ns = 3'000'000'000;
        x.seen.workers[0].gap_at_ns = fake::guest_start + 4'000'000'000;
    };
    plant(r);
    CHECK(r.check(check_id::gap).state == check_state::fail);
    CHECK(r.check(check_id::gap).measured == doctest::Approx(3e9).epsilon(0.01));
    // ... at 4x three quarters of them belonged to the other vCPUs ...
    run crowded("steady", 1);
    plant(crowded);
    CHECK(crowded.check(check_id::gap).state == check_state::pass);
    CHECK(crowded.check(check_id::gap).measured == doctest::Approx(0.75e9).epsilon(0.01));
    // ... when the whole guest stood still (no sign of life), they were not there either ...
    run stalled;
    plant(stalled);
    std::erase_if(stalled.seen.progress, [](progress_mark const& p) {
        return p.guest_ns > fake::guest_start + 1'100'000'000 && p.guest_ns < fake::guest_start + 3'900'000'000;
    });
    CHECK(stalled.check(check_id::gap).state == check_state::pass);
    // ... and on a host that gives far less than declared nobody can say.
    run noisy;
    noisy.deliver(0.45);
    noisy.wanted.checks.gap_ns = 1'000'000'000;
    plant(noisy);
    CHECK(noisy.check(check_id::gap).state == check_state::inconclusive);
    CHECK(noisy.judged().outcome == outcome_kind::inconclusive);
    // The same when the host's accounts look well and only the pace shows it.
    run emulated;
    plant(emulated);
    CHECK(emulated.check(check_id::gap).state == check_state::fail);
    for (auto& w : emulated.seen.workers)
        w.fastest_unit_ps = 100'000;
    CHECK(emulated.check(check_id::gap).state == check_state::inconclusive);
}

TEST_CASE("checks: wake lateness is judged in delivered time") {
    run r("steady", 1);
    r.wanted.checks.wake_p99_ns = 10'000'000;
    auto& w = r.seen.workers[0];
    w.wakes = 100;
    w.wake_histogram.assign(wire::wake_buckets, 0);
    w.wake_histogram[wire::wake_bucket(20'000'000)] = 100;
    CHECK(r.check(check_id::wake).state == check_state::pass); // 20 ms at 4x
    w.wake_histogram[wire::wake_bucket(80'000'000)] = 100;
    CHECK(r.check(check_id::wake).state == check_state::fail);
    CHECK(r.check(check_id::wake).subject == "cg_0 worker 0");
    r.deliver(0.3);
    CHECK(r.check(check_id::wake).state == check_state::inconclusive);
}

TEST_CASE("checks: stop") {
    run r;
    r.seen.workers[6].end = wire::worker_end::killed_after_stop;
    CHECK(r.judged().line == "stop: cg_1 worker 2 did not stop and was killed");
}

TEST_CASE("checks: hopeless delivery makes everything inconclusive") {
    run r;
    r.deliver(0.05);
    auto const v = r.judged();
    CHECK(v.outcome == outcome_kind::inconclusive);
    CHECK(r.check(check_id::delivery).state == check_state::inconclusive);
}
