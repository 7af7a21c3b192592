// SPDX-License-Identifier: Apache-2.0
#include "ktstr/scenario/kernel_log.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace ktstr;

TEST_CASE("kernel_log: lines of real kernels and what they mean") {
    struct row {
        log_event event;
        std::string_view line;
    };
    for (auto const& [event, line] : {
             row{log_event::panic,
                 "[    1.2] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)"},
             row{log_event::init_killed,
                 "[    1.2] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b"},
             row{log_event::oops, "[    1.2] BUG: kernel NULL pointer dereference, address: 0000000000000008"},
             row{log_event::oops,
                 "[    1.2] Oops: general protection fault, probably for non-canonical address: 0000 [#1]"},
             row{log_event::oops, "[    1.2] kernel BUG at mm/slub.c:448!"},
             row{log_event::oops,
                 "[    1.2] Unable to handle kernel paging request at virtual address dead000000000100"},
             row{log_event::oops, "[    1.2] Internal error: Oops: 0000000096000004 [#1] SMP"},
             row{log_event::hard_lockup, "[    1.2] watchdog: CPU1: Watchdog detected hard LOCKUP on cpu 1"},
             row{log_event::soft_lockup, "[    1.2] watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [ktstr:77]"},
             row{log_event::rcu_stall, "[    1.2] rcu: INFO: rcu_sched self-detected stall on CPU"},
             row{log_event::rcu_stall, "[    1.2] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:"},
             row{log_event::rcu_stall, "[    1.2] rcu: rcu_sched kthread starved for 5250 jiffies! g1 f0x0"},
             row{log_event::rcu_stall,
                 "[    1.2] rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 1-... }"},
             row{log_event::hung_task, "[    1.2] INFO: task ktstr:5 blocked for more than 120 seconds."},
             row{log_event::out_of_memory, "[    1.2] Out of memory: Killed process 91 (ktstr) total-vm:1kB"},
             row{log_event::out_of_memory, "[    1.2] Memory cgroup out of memory: Killed process 91 (ktstr)"},
             row{log_event::scheduler_death, "[    1.2] sched_ext: BPF scheduler \"x\" disabled (runtime error)"},
             row{log_event::scheduler_death, "[    1.2] sched_ext: BPF scheduler \"x\" disabled (runnable task stall)"},
             row{log_event::agent_failed, "[    1.2] ktstr agent: phase mounts failed: mount: not found"},
         }) {
        CAPTURE(line);
        auto const meaning = read_log_line(line);
        CHECK(meaning.found);
        CHECK(meaning.event == event);
    }
}

TEST_CASE("kernel_log: lines of healthy boots mean nothing") {
    for (auto const* const line :
         {"[    0.0] Linux version 7.3.0-cloud-amd64", "[    0.1] rcu: Hierarchical RCU implementation.",
          "[    0.1] rcu: RCU calculated value of scheduler-enlistment delay is 25 jiffies.",
          "[    0.2] NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.",
          "[    0.3] sched_ext: BPF scheduler \"simple\" enabled",
          "[    9.9] sched_ext: BPF scheduler \"simple\" disabled (unregistered from user space)",
          "[    0.4] Kernel command line: quiet panic=-1 oops=panic",
          "[    0.4] clocksource: Switched to clocksource kvm-clock", "[    3.0] reboot: Restarting system"}) {
        CAPTURE(line);
        CHECK(!read_log_line(line).found);
    }
}

TEST_CASE("kernel_log: counts, first lines, carriage returns, no newline at the end, overlong lines") {
    std::string log = "fine\nOops: first\r\nOops: second\n\n" + std::string(5000, 'x') +
                      "Oops: hidden\nKernel panic - not syncing: end";
    auto const found = scan_kernel_log(log);
    CHECK(found.count[static_cast<std::size_t>(log_event::oops)] == 2);
    CHECK(found.line(log_event::oops) == "Oops: first");
    CHECK(found.line(log_event::panic) == "Kernel panic - not syncing: end");
    CHECK(!found.has(log_event::rcu_stall));
    CHECK(scan_kernel_log("").first == log_findings{}.first);
    auto const wide = "Oops: " + std::string(500, 'y');
    CHECK(scan_kernel_log(wide).line(log_event::oops).size() == 240);
}
