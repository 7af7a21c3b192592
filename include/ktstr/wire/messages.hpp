// SPDX-License-Identifier: Apache-2.0
/// \file
/// Every message that guest and host exchange, as plain values with one `describe` list each.
///
/// Times are nanoseconds. "Guest time" is CLOCK_MONOTONIC of the guest. Nothing in a message from the guest is trusted:
/// the host judges with its own clocks and uses guest numbers as claims.
#pragma once

#include "ktstr/wire/codec.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ktstr::wire {

/// Type numbers. 1-63 guest to host, 64-127 host to guest. Numbers are never reused.
enum class message_type : std::uint16_t {
    hello = 1,
    phase = 2,
    output = 3,
    topology_report = 4,
    worker_report = 5,
    cgroup_report = 6,
    kernel_log = 7,
    scheduler_state = 8,
    scenario_start = 9,
    scenario_end = 10,
    agent_error = 11,
    crash = 12,
    exit = 13,
    progress = 14,
    kernel_note = 15,
    snapshot_request = 16,
    go = 64,
    stop_request = 65,
    stdin_data = 66,
    window_size = 67,
    heartbeat_reply = 68,
    snapshot_reply = 69,
};

/// What the agent is doing; named in errors and shown as boot progress.
enum class agent_phase : std::uint8_t {
    start,     ///< Process started, nothing done yet.
    mounts,    ///< Mounting proc, sys, dev, cgroup2 and the rest.
    plan,      ///< Reading and checking /ktstr/plan.
    modules,   ///< Loading kernel modules.
    port,      ///< Finding and opening the message port.
    go,        ///< Waiting for the host's go.
    topology,  ///< Comparing CPUs, caches and nodes with the request.
    scheduler, ///< Reading which scheduler runs.
    cgroups,   ///< Making cgroups.
    spawn,     ///< Forking workers and moving them into their cgroups.
    run,       ///< The scenario runs.
    stop,      ///< Stopping workers.
    collect,   ///< Reading telemetry.
    report,    ///< Sending reports.
    exec,      ///< Running the user's command.
    shell,     ///< Running an interactive shell.
    ending,    ///< Draining the port and leaving.
};
[[nodiscard]] constexpr agent_phase last_of(agent_phase) noexcept { return agent_phase::ending; }

/// The name of a phase as users read it.
[[nodiscard]] constexpr std::string_view name_of(agent_phase p) noexcept {
    constexpr std::array<std::string_view, 17> names{"start",    "mounts",    "plan",    "modules", "port",  "go",
                                                     "topology", "scheduler", "cgroups", "spawn",   "run",   "stop",
                                                     "collect",  "report",    "exec",    "shell",   "ending"};
    auto const at = static_cast<std::size_t>(p);
    return at < names.size() ? names[at] : "unknown phase";
}

/// The first message: the guest is up to its pid 1.
struct hello {
    static constexpr message_type type = message_type::hello;
    std::uint16_t protocol = 1;     ///< Protocol version the agent speaks.
    std::uint64_t guest_ns = 0;     ///< Guest time when this was sent.
    std::uint64_t start_ns = 0;     ///< Guest time when pid 1 started.
    std::uint64_t mounts_ns = 0;    ///< Guest time when the mounts were done.
    std::uint64_t modules_ns = 0;   ///< Guest time when the modules were loaded.
    std::uint32_t cpus_online = 0;  ///< CPUs the guest has online.
    std::uint64_t memory_bytes = 0; ///< MemTotal.
    std::string release;            ///< uname -r.
    std::string command_line;       ///< /proc/cmdline without its newline.
    static void describe(auto& io, auto& m) {
        io(m.protocol), io(m.guest_ns), io(m.start_ns), io(m.mounts_ns), io(m.modules_ns);
        io(m.cpus_online), io(m.memory_bytes), io(m.release), io(m.command_line);
    }
};

/// The agent enters a phase.
struct phase {
    static constexpr message_type type = message_type::phase;
    agent_phase id = agent_phase::start;
    std::uint64_t guest_ns = 0;
    static void describe(auto& io, auto& m) { io(m.id), io(m.guest_ns); }
};

/// Where a piece of output came from.
enum class stream : std::uint8_t { log, out, err };
[[nodiscard]] constexpr stream last_of(stream) noexcept { return stream::err; }

/// A piece of the agent's log or of a command's output; pieces arrive in order.
struct output {
    static constexpr message_type type = message_type::output;
    stream from = stream::log;
    std::vector<std::byte> data;
    static void describe(auto& io, auto& m) { io(m.from), io(m.data); }
};

/// What the guest sees of the machine we declared.
struct topology_report {
    static constexpr message_type type = message_type::topology_report;
    bool checked = false;                ///< False when the plan asked for no check.
    std::uint32_t cpus_seen = 0;         ///< CPUs the guest has online.
    std::vector<std::string> mismatches; ///< One line each; empty when everything matches.
    static void describe(auto& io, auto& m) { io(m.checked), io(m.cpus_seen), io(m.mismatches); }
};

/// How a worker process ended.
enum class worker_end : std::uint8_t { finished, signaled, exited_early, killed_after_stop };
[[nodiscard]] constexpr worker_end last_of(worker_end) noexcept { return worker_end::killed_after_stop; }

/// Everything one worker measured about itself.
struct worker_report {
    static constexpr message_type type = message_type::worker_report;
    std::uint32_t cgroup = 0; ///< Index into the plan's cgroups.
    std::uint32_t index = 0;  ///< Index within the cgroup.
    std::int32_t pid = 0;
    worker_end end = worker_end::finished;
    std::int32_t end_code = 0;                 ///< Exit code or signal number.
    std::uint64_t work_units = 0;              ///< Fixed amounts of work done.
    std::uint64_t iterations = 0;              ///< Rounds of the work type's loop.
    std::uint64_t wall_ns = 0;                 ///< From its go to its last checkpoint.
    std::uint64_t cpu_ns = 0;                  ///< CPU time as the guest accounts it (stolen time included).
    std::uint64_t run_delay_ns = 0;            ///< /proc/PID/schedstat field 2.
    std::uint64_t time_slices = 0;             ///< /proc/PID/schedstat field 3.
    std::uint64_t wait_ns = 0;                 ///< wait_sum of /proc/PID/sched; 0 when the kernel does not give it.
    std::uint64_t gap_ns = 0;                  ///< Largest guest time between two checkpoints.
    std::uint64_t gap_at_ns = 0;               ///< Guest time at the end of that gap.
    std::uint32_t gap_cpu = 0;                 ///< CPU at the end of that gap.
    std::uint64_t waited_units = 0;            ///< Most units others did on this CPU between two of our checkpoints.
    std::uint64_t waited_at_ns = 0;            ///< Guest time at the end of that wait.
    std::uint32_t waited_cpu = 0;              ///< CPU of that wait.
    std::uint64_t fastest_unit_ps = 0;         ///< Least guest time per unit of any batch, picoseconds.
    std::uint64_t migrations = 0;              ///< Checkpoints on another CPU than the one before.
    std::vector<std::uint64_t> cpus_used;      ///< Bitmap, CPU 0 is bit 0 of word 0.
    std::vector<std::uint64_t> cpu_units;      ///< Work units by CPU.
    std::uint64_t wakes = 0;                   ///< Timed sleeps ended.
    std::uint64_t wake_max_ns = 0;             ///< Largest lateness of a wake.
    std::uint64_t wake_sum_ns = 0;             ///< Sum of lateness.
    std::vector<std::uint32_t> wake_histogram; ///< Counts by `wake_bucket`; trailing zeros cut.
    static void describe(auto& io, auto& m) {
        io(m.cgroup), io(m.index), io(m.pid), io(m.end), io(m.end_code), io(m.work_units), io(m.iterations);
        io(m.wall_ns), io(m.cpu_ns), io(m.run_delay_ns), io(m.time_slices), io(m.wait_ns);
        io(m.gap_ns), io(m.gap_at_ns), io(m.gap_cpu), io(m.waited_units), io(m.waited_at_ns), io(m.waited_cpu);
        io(m.fastest_unit_ps), io(m.migrations), io(m.cpus_used), io(m.cpu_units);
        io(m.wakes), io(m.wake_max_ns), io(m.wake_sum_ns), io(m.wake_histogram);
    }
};

/// What the kernel says about one cgroup at the end.
struct cgroup_report {
    static constexpr message_type type = message_type::cgroup_report;
    std::uint32_t cgroup = 0;       ///< Index into the plan's cgroups.
    std::string effective_cpus;     ///< cpuset.cpus.effective; empty when there is no cpuset controller.
    std::uint64_t usage_us = 0;     ///< cpu.stat usage_usec.
    std::uint64_t throttled_us = 0; ///< cpu.stat throttled_usec.
    std::uint64_t oom_kills = 0;    ///< memory.events oom_kill.
    static void describe(auto& io, auto& m) {
        io(m.cgroup), io(m.effective_cpus), io(m.usage_us), io(m.throttled_us), io(m.oom_kills);
    }
};

/// A piece of the guest's kernel log, text lines.
struct kernel_log {
    static constexpr message_type type = message_type::kernel_log;
    std::vector<std::byte> data;
    static void describe(auto& io, auto& m) { io(m.data); }
};

/// When a scheduler state was read.
enum class state_moment : std::uint8_t { before_run, after_run };
[[nodiscard]] constexpr state_moment last_of(state_moment) noexcept { return state_moment::after_run; }

/// Which scheduler runs in the guest.
struct scheduler_state {
    static constexpr message_type type = message_type::scheduler_state;
    state_moment when = state_moment::before_run;
    bool ext_supported = false;   ///< /sys/kernel/sched_ext exists.
    std::string state;            ///< /sys/kernel/sched_ext/state: "enabled", "disabled", ...
    std::string ops;              ///< /sys/kernel/sched_ext/root/ops; empty when none is loaded.
    std::uint64_t enable_seq = 0; ///< /sys/kernel/sched_ext/enable_seq.
    std::uint64_t rejected = 0;   ///< /sys/kernel/sched_ext/nr_rejected.
    static void describe(auto& io, auto& m) {
        io(m.when), io(m.ext_supported), io(m.state), io(m.ops), io(m.enable_seq), io(m.rejected);
    }
};

/// The workers have just been let go.
struct scenario_start {
    static constexpr message_type type = message_type::scenario_start;
    std::uint64_t guest_ns = 0;
    static void describe(auto& io, auto& m) { io(m.guest_ns); }
};

/// The workers have just been told to stop.
struct scenario_end {
    static constexpr message_type type = message_type::scenario_end;
    std::uint64_t guest_ns = 0;
    bool early = false; ///< A stop request came before the duration was over.
    static void describe(auto& io, auto& m) { io(m.guest_ns), io(m.early); }
};

/// A step of the agent failed; an `exit` follows.
struct agent_error {
    static constexpr message_type type = message_type::agent_error;
    agent_phase at = agent_phase::start;
    std::uint32_t code = 0;    ///< `ktstr::errc`.
    std::int32_t os_errno = 0; ///< errno, or 0.
    std::uint64_t value = 0;   ///< The error's one number.
    std::string where;         ///< The error's place: "open", "cgroup.procs", ...
    std::string detail;        ///< What it was about: a path, a module's name.
    static void describe(auto& io, auto& m) {
        io(m.at), io(m.code), io(m.os_errno), io(m.value), io(m.where), io(m.detail);
    }
};

/// The agent itself died of a signal.
struct crash {
    static constexpr message_type type = message_type::crash;
    std::int32_t signal = 0;
    std::uint64_t address = 0; ///< Faulting address, or 0.
    agent_phase at = agent_phase::start;
    static void describe(auto& io, auto& m) { io(m.signal), io(m.address), io(m.at); }
};

/// The last message: the guest is about to leave, with this code. The only source of the run's exit code.
struct exit_message {
    static constexpr message_type type = message_type::exit;
    std::int32_t code = 0;
    static void describe(auto& io, auto& m) { io(m.code); }
};

/// A sign of life with the work done so far; sent about twice a second of guest time.
struct progress {
    static constexpr message_type type = message_type::progress;
    std::uint64_t guest_ns = 0;
    agent_phase at = agent_phase::start;
    std::vector<std::uint64_t> units; ///< Work units by worker, cgroup by cgroup; empty outside a run.
    static void describe(auto& io, auto& m) { io(m.guest_ns), io(m.at), io(m.units); }
};

/// Where the guest kernel keeps its VMCOREINFO note (/sys/kernel/vmcoreinfo): debuggers of a snapshot need it.
struct kernel_note {
    static constexpr message_type type = message_type::kernel_note;
    std::uint64_t address = 0; ///< Guest physical address of the ELF note.
    std::uint64_t size = 0;    ///< Bytes, note header included.
    static void describe(auto& io, auto& m) { io(m.address), io(m.size); }
};

/// What a snapshot request asks for.
enum class snapshot_kind : std::uint8_t {
    capture, ///< Freeze now; `tag` is the snapshot's name.
    watch,   ///< Freeze when something is stored at `tag`: SYMBOL[+OFFSET][:SIZE][OP VALUE].
};
[[nodiscard]] constexpr snapshot_kind last_of(snapshot_kind) noexcept { return snapshot_kind::watch; }

/// The longest tag of a request. A longer one is answered with an error.
inline constexpr std::size_t max_snapshot_tag = 63;

/// The guest wants a snapshot, and waits for a `snapshot_reply` with its id.
struct snapshot_request {
    static constexpr message_type type = message_type::snapshot_request;
    std::uint32_t request_id = 0;
    snapshot_kind kind = snapshot_kind::capture;
    std::string tag;
    static void describe(auto& io, auto& m) { io(m.request_id), io(m.kind), io(m.tag); }
};

/// Host: begin.
struct go {
    static constexpr message_type type = message_type::go;
    static void describe(auto&, auto&) {}
};

/// Host: stop softly, report, leave.
struct stop_request {
    static constexpr message_type type = message_type::stop_request;
    std::uint8_t reason = 0; ///< 0 user, 1 deadline near.
    static void describe(auto& io, auto& m) { io(m.reason); }
};

/// Host: bytes for the command's standard input.
struct stdin_data {
    static constexpr message_type type = message_type::stdin_data;
    bool end = false; ///< Nothing follows; `data` may still hold the last bytes.
    std::vector<std::byte> data;
    static void describe(auto& io, auto& m) { io(m.end), io(m.data); }
};

/// Host: the terminal has this size now.
struct window_size {
    static constexpr message_type type = message_type::window_size;
    std::uint16_t rows = 24;
    std::uint16_t columns = 80;
    static void describe(auto& io, auto& m) { io(m.rows), io(m.columns); }
};

/// Host: the answer to a progress message, for round-trip times.
struct heartbeat_reply {
    static constexpr message_type type = message_type::heartbeat_reply;
    std::uint64_t guest_ns = 0; ///< The `guest_ns` of the progress message answered.
    static void describe(auto& io, auto& m) { io(m.guest_ns); }
};

/// Host: what became of a snapshot request.
struct snapshot_reply {
    static constexpr message_type type = message_type::snapshot_reply;
    std::uint32_t request_id = 0;
    bool ok = false;
    std::string reason; ///< Why not; empty when `ok`.
    static void describe(auto& io, auto& m) { io(m.request_id), io(m.ok), io(m.reason); }
};

} // namespace ktstr::wire
