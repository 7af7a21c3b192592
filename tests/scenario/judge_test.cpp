// SPDX-License-Identifier: Apache-2.0
#include "ktstr/scenario/judge.hpp"

#include "scenario/healthy_run.hpp"

#include <doctest/doctest.h>

using namespace ktstr;
using fake::run;

namespace {
/// A guest that died before it could say goodbye.
run cut_off(end_kind kind, std::uint64_t value = 0) {
    run r;
    r.seen.exit.reset();
    r.seen.scenario_end.reset();
    r.seen.workers.clear();
    r.seen.end = {kind, value};
    return r;
}
int code(run const& r, bool strict = false) { return exit_code(r.judged(), strict); }
} // namespace

TEST_CASE("judge: pass, with the numbers in its line") {
    run r;
    auto const v = r.judged();
    CHECK(v.outcome == outcome_kind::pass);
    CHECK(v.line ==
          "steady: 8 workers in 2 cgroups under default, smallest share 100.0 % of fair, longest wait 8.0 ms");
    CHECK(exit_code(v, true) == 0);
    CHECK(v.boot_ns == 9'000'000'000);
    CHECK(v.cgroups.size() == 2);
    CHECK(v.cgroups[0].workers == 4);
    CHECK(v.cgroups[0].share_mean == doctest::Approx(100).epsilon(0.01));
    CHECK(v.time.declared == 1.0);
    CHECK(v.time.service == doctest::Approx(1.0));
}

TEST_CASE("judge: how the machine ended does not matter once the guest said goodbye") {
    for (auto const kind : {end_kind::stopped, end_kind::i8042_reset, end_kind::acpi_reset, end_kind::power_off,
                            end_kind::triple_fault, end_kind::wall_limit}) {
        run r;
        r.seen.end = {kind, 0};
        CHECK(r.judged().outcome == outcome_kind::pass);
    }
}

TEST_CASE("judge: panic, agent crash, OOM and hang each end differently and clearly") {
    auto panic = cut_off(end_kind::i8042_reset);
    panic.seen.console = "[ 3.1] Kernel panic - not syncing: sysrq triggered crash\n";
    CHECK(panic.judged().line == "the guest panicked: [ 3.1] Kernel panic - not syncing: sysrq triggered crash");
    CHECK(code(panic) == 255);

    auto crash = cut_off(end_kind::i8042_reset);
    crash.seen.crash = wire::crash{6, 0, wire::agent_phase::run};
    CHECK(crash.judged().outcome == outcome_kind::agent_crash);
    CHECK(crash.judged().line == "the agent died of signal 6 in phase run");
    CHECK(code(crash) == 99);

    auto init = cut_off(end_kind::i8042_reset);
    init.seen.console = "[ 3.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b\n";
    CHECK(init.judged().outcome == outcome_kind::agent_crash);

    run oom;
    oom.seen.cgroups[0].oom_kills = 1;
    CHECK(oom.judged().line == "memory: a process of cg_0 was killed for its memory");
    CHECK(code(oom) == 1);

    auto const hang = cut_off(end_kind::silence, 30'000'000'000);
    CHECK(hang.judged().outcome == outcome_kind::guest_hang);
    CHECK(hang.judged().line == "the guest went silent in phase run for 30.0 s");
    CHECK(code(hang) == 124);
}

TEST_CASE("judge: the wall limit tells a hang from a run that was merely long") {
    auto slow = cut_off(end_kind::wall_limit, 60'000'000'000);
    CHECK(slow.judged().outcome == outcome_kind::wall_limit);
    CHECK(slow.judged().line == "the time limit of 60.0 s was reached in phase run");
    slow.seen.end_ns = slow.seen.last_message_ns + 20'000'000'000;
    CHECK(slow.judged().outcome == outcome_kind::guest_hang);
    CHECK(slow.judged().line == "the time limit of 60.0 s was reached in phase run, last sign of life 20.0 s before");
    CHECK(code(slow) == 124);
}

TEST_CASE("judge: ends of the machine without a goodbye") {
    auto early = cut_off(end_kind::boot_timeout, 35'000'000'000);
    early.seen.hello.reset();
    CHECK(early.judged().line == "the guest did not reach its agent within 35.0 s of CPU service");
    CHECK(code(early) == 124);
    CHECK(code(cut_off(end_kind::fatal, 1)) == 99);
    CHECK(code(cut_off(end_kind::run_error, 14)) == 99);
    CHECK(code(cut_off(end_kind::host_failure, 1)) == 99);
    CHECK(code(cut_off(end_kind::triple_fault)) == 255);
    CHECK(code(cut_off(end_kind::acpi_reset)) == 1);
    CHECK(cut_off(end_kind::acpi_reset).judged().line ==
          "the guest left (ACPI reset) in phase run without an exit message");
    auto const stopped = cut_off(end_kind::interrupted, 2);
    CHECK(code(stopped) == 130);
    CHECK(stopped.judged().line == "interrupted by signal 2");
    auto oops = cut_off(end_kind::triple_fault);
    oops.seen.kernel_log = "BUG: unable to handle page fault\n";
    CHECK(oops.judged().line ==
          "the guest ended in a triple fault in phase run after: BUG: unable to handle page fault");
}

TEST_CASE("judge: the agent's own errors: ours, or a kernel that lacks something") {
    run r;
    r.seen.agent_error = wire::agent_error{
        wire::agent_phase::modules, static_cast<std::uint32_t>(errc::os), 8, 0, "finit_module", "10-virtio_mmio.ko"};
    r.seen.exit = wire::exit_message{99};
    CHECK(r.judged().outcome == outcome_kind::host_error);
    CHECK(r.judged().line ==
          "the agent failed in phase modules: finit_module: operating system error (errno 8), 10-virtio_mmio.ko");
    r.seen.agent_error = wire::agent_error{
        wire::agent_phase::mounts, static_cast<std::uint32_t>(errc::not_found), 19, 0, "mount", "/sys/fs/cgroup"};
    CHECK(r.judged().outcome == outcome_kind::skip);
    CHECK(code(r) == 77);
    CHECK(code(r, true) == 1);
    r.seen.agent_error->code = 4'000'000'000U;
    CHECK(r.judged().line.find("unknown error code") != std::string::npos);
    auto silent = cut_off(end_kind::i8042_reset);
    silent.seen.hello.reset();
    silent.seen.console = "[ 2.0] ktstr agent: phase modules failed: finit_module: bad format\n";
    CHECK(silent.judged().line == "[ 2.0] ktstr agent: phase modules failed: finit_module: bad format");
    CHECK(code(silent) == 99);
}

TEST_CASE("judge: a command's exit code passes through; one that cannot start answers as in a shell") {
    run r;
    r.wanted.mode = run_mode::exec;
    r.wanted.cgroups.clear();
    r.seen.workers.clear();
    r.seen.cgroups.clear();
    r.seen.exit = wire::exit_message{7};
    CHECK(code(r) == 7);
    CHECK(r.judged().line == "the command ended with code 7");
    r.seen.exit = wire::exit_message{0};
    CHECK(code(r) == 0);
    r.seen.kernel_log = "Oops: 1\n";
    CHECK(code(r) == 1);
    r.seen.kernel_log.clear();
    r.seen.agent_error = wire::agent_error{wire::agent_phase::exec, 3, 2, 0, "exec", "frobnicate"};
    r.seen.exit = wire::exit_message{99};
    CHECK(code(r) == 127);
    CHECK(r.judged().line == "the command cannot be started in the guest: frobnicate (errno 2)");
}

TEST_CASE("judge: a shell whose user switched the machine off ends well") {
    auto r = cut_off(end_kind::power_off);
    r.wanted.mode = run_mode::shell;
    CHECK(r.judged().outcome == outcome_kind::pass);
}

TEST_CASE("judge: reports that do not belong to the plan are not looked at") {
    run r;
    wire::worker_report stray;
    stray.cgroup = 77;
    stray.end = wire::worker_end::signaled;
    r.seen.workers.push_back(stray);
    stray.cgroup = 0, stray.index = 99;
    r.seen.workers.push_back(stray);
    r.seen.cgroups.push_back({99, "", 0, 0, 5});
    CHECK(r.judged().outcome == outcome_kind::pass);
}

TEST_CASE("judge: a goodbye without a scenario is our failure") {
    run r;
    r.seen.scenario_end.reset();
    CHECK(r.judged().outcome == outcome_kind::host_error);
    run bad;
    bad.seen.exit = wire::exit_message{3};
    CHECK(bad.judged().line == "the guest's exit code is 3");
}

TEST_CASE("judge: a scenario cut short by the time limit is the limit's, though the guest said goodbye") {
    run r;
    r.seen.end = {end_kind::wall_limit, 15'000'000'000};
    CHECK(r.judged().outcome == outcome_kind::pass);
    r.seen.scenario_end->early = true;
    CHECK(r.judged().outcome == outcome_kind::wall_limit);
    r.seen.scenario_end.reset();
    CHECK(r.judged().outcome == outcome_kind::wall_limit);
}
