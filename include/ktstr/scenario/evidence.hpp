// SPDX-License-Identifier: Apache-2.0
/// \file
/// Everything the host knows about one run when it judges it: what the guest said and what the host measured.
#pragma once

#include "ktstr/wire/messages.hpp"
#include "ktstr/wire/stream_decoder.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ktstr {

/// How the machine came to its end, as the host saw it. Closed: every end of a run is one of these.
enum class end_kind : std::uint8_t {
    stopped,      ///< We stopped it after its exit message.
    i8042_reset,  ///< The guest pulled the keyboard controller's reset line.
    acpi_reset,   ///< The guest wrote the ACPI reset register.
    power_off,    ///< The guest entered S5.
    triple_fault, ///< KVM_EXIT_SHUTDOWN.
    fatal,        ///< KVM_EXIT_FAIL_ENTRY or KVM_EXIT_INTERNAL_ERROR; `value` = suberror or hardware reason.
    run_error,    ///< KVM_RUN or a thread of ours failed; `value` = errno.
    boot_timeout, ///< No hello within the boot deadline (delivered CPU service); `value` = ns.
    wall_limit,   ///< The user's limit or the run's deadline was reached; `value` = ns.
    silence,      ///< The agent sent nothing for too long although its CPUs were served; `value` = ns.
    interrupted,  ///< A signal to us ended it; `value` = signal number.
    host_failure, ///< Something of ours failed before or during the run; `value` = ktstr::errc.
};

/// The end of the machine and the one number that matters about it.
struct machine_end {
    end_kind kind = end_kind::stopped;
    std::uint64_t value = 0;
};

/// CPU time a vCPU thread got from the host and time it waited for one, since it started, nanoseconds
/// (/proc/self/task/TID/schedstat fields 1 and 2).
struct vcpu_time {
    std::int64_t cpu_ns = 0;
    std::int64_t delay_ns = 0;
    friend bool operator==(vcpu_time const&, vcpu_time const&) = default;
};

/// All vCPU threads at one moment of the host's monotonic clock.
struct delivery_sample {
    std::int64_t host_ns = 0;
    std::vector<vcpu_time> vcpus;
};

/// When the agent entered a phase, on both clocks.
struct phase_mark {
    wire::agent_phase id = wire::agent_phase::start;
    std::uint64_t guest_ns = 0;
    std::int64_t host_ns = 0; ///< Of the message's arrival.
};

/// A progress message's times; the judge reads stalls of the whole guest out of them.
struct progress_mark {
    std::uint64_t guest_ns = 0;
    std::int64_t host_ns = 0;
    std::uint64_t units = 0; ///< Sum over the workers.
};

/// Exits of one kind: how often, and host time spent handling them.
struct exit_count {
    std::string name;
    std::uint64_t count = 0;
    std::uint64_t ns = 0;
};

/// The evidence. Fields stay empty when the guest never got that far.
struct run_evidence {
    machine_end end;
    std::int64_t start_ns = 0; ///< Host time of the first KVM_RUN (or of the exec, as the caller likes it).
    std::int64_t end_ns = 0;   ///< Host time when the last vCPU stopped.

    std::optional<wire::hello> hello;
    std::int64_t hello_ns = 0; ///< Host time when hello arrived.
    std::vector<phase_mark> phases;
    std::optional<wire::topology_report> topology;
    std::vector<wire::worker_report> workers;
    std::vector<wire::cgroup_report> cgroups;
    std::optional<wire::scheduler_state> scheduler_before, scheduler_after;
    std::optional<wire::scenario_start> scenario_start;
    std::optional<wire::scenario_end> scenario_end;
    std::optional<wire::kernel_note> kernel_note; ///< Where the kernel says its VMCOREINFO is.
    std::optional<wire::agent_error> agent_error;
    std::optional<wire::crash> crash;
    std::optional<wire::exit_message> exit;
    std::vector<progress_mark> progress;
    std::int64_t last_message_ns = 0; ///< Host time of the last intact frame.

    delivery_sample at_start, at_end;     ///< vCPU times at scenario start and end; empty vectors when not taken.
    std::vector<delivery_sample> samples; ///< In between, ordered by time.
    std::vector<vcpu_time> vcpus;         ///< At the end of the machine.
    std::vector<exit_count> exits;

    std::string kernel_log; ///< From the guest's kernel_log messages.
    std::string console;    ///< What the guest printed on its console.
    wire::decoder_counts frames;
    /// Complete runs of a repeated scenario before the last one, with only what belongs to a single run.
    std::vector<run_evidence> earlier;
    std::uint64_t undecodable = 0; ///< Intact frames whose payload made no sense.
};

} // namespace ktstr
