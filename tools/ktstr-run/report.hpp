// SPDX-License-Identifier: Apache-2.0
/// \file
/// What a run came to, for people and for programs. docs/json-schema.md describes the JSON.
#pragma once

#include "ktstr-run/boot_options.hpp"
#include "ktstr-run/host_facts.hpp"
#include "ktstr-run/machine_choice.hpp"
#include "ktstr-run/run_machine.hpp"
#include "ktstr/scenario/judge.hpp"
#include "ktstr/scenario/plan.hpp"
#include "support/status.hpp"

#include <string>
#include <vector>

namespace ktstr::tool {

/// The kernel's part of a fingerprint.
struct kernel_facts {
    std::string key;
    std::string release;
    std::string build_id;
};

/// What a report is made from; the pointers outlive it.
struct report_input {
    boot_options const* boot = nullptr;
    plan const* what = nullptr;
    machine_outcome const* machine = nullptr;
    kernel_facts kernel;
    host_facts host;
    machine_choice place;
    bytes memory{};
    std::string cmdline;
    std::string lab_host; ///< The machine around the lab, when this one is inside it.
    std::string folder;   ///< Where the artefacts are, as the user sees it.
    std::string snapshot_folder;
    std::string started;  ///< UTC, ISO 8601.
    bool strict = false;
};

/// How the runs of a repeated scenario came out; nothing in it for a single run.
struct repeat_counts {
    std::uint32_t wanted = 1;
    std::uint32_t pass = 0, inconclusive = 0, fail = 0; ///< `fail`: every outcome that is neither of the others.
    std::uint32_t shown = 0;                            ///< The run that the report shows, from 1: the worst.
};

/// A judged run.
struct run_report {
    report_input in;
    verdict judged;
    run_status status;
    repeat_counts repeats;
};

/// Judges the run.
[[nodiscard]] run_report make_report(report_input in);

/// One JSON document with a newline at its end.
[[nodiscard]] std::string json_text(run_report const& report);
/// Verdict first, then the line that decided it, the cgroups, the boot, the exits, the observer's cost, the artefacts.
[[nodiscard]] std::string human_text(run_report const& report, bool coloured);

/// The same document for a run that came to nothing: status, reason, where and remedy, and what had been asked for.
[[nodiscard]] std::string json_text(problem const& p, plan const& what, std::string const& started, bool strict);

/// The guest kernel's log: as the agent sent it, and what only the console saw of a panic.
[[nodiscard]] std::string kernel_log_of(run_evidence const& evidence);

/// How a guest that ran a program of the user ended: the program's exit code when it ended by itself.
[[nodiscard]] outcome<exit_code> program_exit(plan const& what, machine_outcome const& ended);

/// Now, as "2026-01-31T12:00:00Z".
[[nodiscard]] std::string utc_timestamp();

} // namespace ktstr::tool
