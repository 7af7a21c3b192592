// SPDX-License-Identifier: Apache-2.0
/// \file
/// The judgement of one run: what came out, the line that decided it, and the numbers behind it.
#pragma once

#include "ktstr/scenario/delivery.hpp"
#include "ktstr/scenario/evidence.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ktstr {

/// What came out. Closed; text, JSON and exit code all derive from this one value.
enum class outcome_kind : std::uint8_t {
    pass,
    fail,  ///< A check failed, a worker was killed, a command returned non-zero.
    usage, ///< What the user named is wrong; found before a machine started (made by the tool, not by the judge).
    inconclusive, ///< The run is too disturbed or too thin to say.
    skip,         ///< This machine or kernel lacks something needed.
    host_error,   ///< Our failure or the host's.
    wall_limit,   ///< The time limit was reached.
    guest_hang,   ///< The guest stopped answering although it was served.
    interrupted,  ///< A signal to us.
    guest_panic,  ///< The guest's kernel died.
    agent_crash,  ///< Our pid 1 died.
};
inline constexpr std::size_t outcome_kinds = 11;

/// The word users see for an outcome.
[[nodiscard]] constexpr std::string_view name_of(outcome_kind k) noexcept {
    constexpr std::array<std::string_view, outcome_kinds> names{
        "pass",       "fail",       "usage error", "inconclusive", "skip",       "host error",
        "time limit", "guest hang", "interrupted", "guest panic",  "agent crash"};
    auto const at = static_cast<std::size_t>(k);
    return at < names.size() ? names[at] : "unknown outcome";
}

/// The checks, in the order in which they decide.
enum class check_id : std::uint8_t {
    topology,   ///< The guest sees the machine that was asked for.
    kernel_log, ///< No oops, lockup, hung task, RCU stall.
    scheduler,  ///< The scheduler named is the one that ran, and it lived.
    memory,     ///< Nobody was killed for memory.
    lifetime,   ///< Every worker reported and none ended early.
    isolation,  ///< Workers stayed on their cgroup's CPUs.
    progress,   ///< Every worker did something.
    starvation, ///< No worker is far below its fair share.
    spread,     ///< Workers of one cgroup got similar shares.
    gap,        ///< No worker waited too long for a CPU that was there.
    wake,       ///< Sleepers woke in time.
    stop,       ///< Every worker stopped when asked.
    delivery,   ///< The host gave enough CPU time for the run to mean something.
};
inline constexpr std::size_t check_ids = 13;

/// The name of a check in reports.
[[nodiscard]] constexpr std::string_view name_of(check_id c) noexcept {
    constexpr std::array<std::string_view, check_ids> names{
        "topology",   "kernel-log", "scheduler", "memory", "lifetime", "isolation", "progress",
        "starvation", "spread",     "gap",       "wake",   "stop",     "delivery"};
    auto const at = static_cast<std::size_t>(c);
    return at < names.size() ? names[at] : "unknown check";
}

enum class check_state : std::uint8_t { pass, fail, inconclusive, not_run };
[[nodiscard]] constexpr std::string_view name_of(check_state s) noexcept {
    constexpr std::array<std::string_view, 4> names{"pass", "fail", "inconclusive", "not run"};
    auto const at = static_cast<std::size_t>(s);
    return at < names.size() ? names[at] : "unknown state";
}

/// What a check's numbers count.
enum class unit_kind : std::uint8_t { none, count, percent, nanoseconds };

/// One check with the worst number it found and the bound that number had to keep.
struct check_result {
    check_id id = check_id::topology;
    check_state state = check_state::not_run;
    double measured = 0;
    double bound = 0;
    unit_kind unit = unit_kind::none;
    std::string subject; ///< Who or what: "cg_0 worker 3", a log line; empty when the check speaks for all.
};

/// The numbers of one cgroup.
struct cgroup_row {
    std::string name;
    std::uint32_t workers = 0;
    std::string cpus; ///< As the kernel lists them; empty = all.
    std::uint64_t units = 0;
    std::uint64_t iterations = 0;
    double share_min = 0, share_mean = 0, share_max = 0; ///< % of the fair share, by worker; 0 when not measured.
    std::int64_t gap_ns = 0;                             ///< Worst wait for a CPU that was there.
    std::uint64_t raw_gap_ns = 0;                        ///< Worst gap by the guest's clock.
    std::uint64_t migrations = 0;
    std::uint64_t run_delay_ns = 0; ///< Mean by worker, guest's account.
    std::uint64_t wake_p50_ns = 0, wake_p99_ns = 0;
    std::uint64_t usage_ns = 0; ///< cpu.stat.
    std::uint64_t throttled_ns = 0;
    std::uint64_t oom_kills = 0;
};

/// The judgement.
struct verdict {
    outcome_kind outcome = outcome_kind::pass;
    std::string line;                 ///< The one line that decided it.
    std::vector<check_result> checks; ///< Those that ran, in deciding order.
    std::vector<cgroup_row> cgroups;
    delivery time;                  ///< Delivered CPU time, noise, stalls.
    std::vector<phase_mark> phases; ///< Boot and run phases on both clocks.
    std::int64_t boot_ns = 0;       ///< From the machine's start to hello, host time; 0 = no hello.
    std::string scheduler;          ///< Which one ran: "default" or the sched_ext name; empty = unknown.
    std::int32_t guest_code = -1;   ///< From the exit message; -1 = none came.
    bool from_command = false;      ///< exec, shell: the outcome is the command's exit code.
    int signal = 0;                 ///< interrupted: which.
    machine_end end;
    std::vector<vcpu_time> vcpus; ///< The observer's account: each vCPU thread's CPU time and wait.
    std::vector<exit_count> exits;
    wire::decoder_counts frames;
};

/// The process exit code of a verdict. With `strict`, inconclusive and skip become 1. A command's own code passes through.
[[nodiscard]] constexpr int exit_code(outcome_kind outcome, bool strict, int signal = 0) noexcept {
    switch (outcome) {
    case outcome_kind::pass: return 0;
    case outcome_kind::fail: return 1;
    case outcome_kind::usage: return 2;
    case outcome_kind::inconclusive: return strict ? 1 : 3;
    case outcome_kind::skip: return strict ? 1 : 77;
    case outcome_kind::host_error:
    case outcome_kind::agent_crash: return 99;
    case outcome_kind::wall_limit:
    case outcome_kind::guest_hang: return 124;
    case outcome_kind::interrupted: return 128 + signal;
    case outcome_kind::guest_panic: return 255;
    }
    return 99;
}
[[nodiscard]] inline int exit_code(verdict const& v, bool strict) noexcept {
    if (v.from_command && v.outcome == outcome_kind::fail && v.guest_code > 0 && v.guest_code < 256)
        return v.guest_code;
    return exit_code(v.outcome, strict, v.signal);
}

} // namespace ktstr
