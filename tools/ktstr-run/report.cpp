// SPDX-License-Identifier: Apache-2.0
/// \file
/// Judging a run, and what its report is made of.
#include "ktstr-run/report.hpp"

#include "ktstr/scenario/kernel_log.hpp"

#include <ctime>

namespace ktstr::tool {

namespace {

/// A worse outcome has a larger number; among failures the first one stays.
int badness(outcome_kind kind) {
    return kind == outcome_kind::pass ? 0 : kind == outcome_kind::inconclusive ? 1 : 2;
}

/// Judges each run of a repeated scenario and puts the worst in the report. How the machine ended, its log and its exits
/// were judged with the last run: an earlier run is over when the next begins, so it ended in an orderly way whatever came
/// of the machine later.
void judge_repeats(run_report& report) {
    auto const& what = *report.in.what;
    auto const& all = report.in.machine->evidence;
    auto& counts = report.repeats;
    counts.wanted = what.repeat;
    if (what.repeat <= 1)
        return;
    auto const count = [&](outcome_kind kind) {
        ++(badness(kind) == 0 ? counts.pass : badness(kind) == 1 ? counts.inconclusive : counts.fail);
    };
    counts.shown = static_cast<std::uint32_t>(all.earlier.size()) + 1;
    count(report.judged.outcome);
    for (std::size_t i = 0; i < all.earlier.size(); ++i) {
        auto one = all.earlier[i];
        one.end = {end_kind::stopped, 0};
        one.end_ns = all.end_ns;
        one.exit = wire::exit_message{0};
        one.phases = all.phases;
        one.vcpus = all.vcpus;
        one.exits = all.exits;
        one.frames = all.frames;
        one.last_message_ns = all.last_message_ns;
        auto judged = judge(what, one);
        count(judged.outcome);
        if (badness(judged.outcome) > badness(report.judged.outcome)) {
            counts.shown = static_cast<std::uint32_t>(i) + 1;
            report.judged = std::move(judged);
        }
    }
}

/// A snapshot that was asked for and is not there leaves a good run without the evidence that somebody wanted.
void judge_snapshots(run_report& report) {
    auto const& machine = *report.in.machine;
    std::string line;
    for (auto const& s : machine.snapshots)
        if (!s.lost.empty() && line.empty())
            line = "snapshot " + s.tag + " is lost: " + s.lost;
    if (line.empty() && machine.snapshots_missed != 0)
        line = std::to_string(machine.snapshots_missed) + " snapshots were not taken: the run was over before their time";
    if (line.empty() || badness(report.judged.outcome) != 0)
        return;
    report.judged.outcome = outcome_kind::inconclusive;
    report.judged.line = std::move(line);
}

} // namespace

run_report make_report(report_input in) {
    run_report out;
    out.in = std::move(in);
    out.judged = judge(*out.in.what, out.in.machine->evidence);
    judge_repeats(out);
    judge_snapshots(out);
    out.status = status_of(out.judged, out.in.strict);
    return out;
}

std::string kernel_log_of(run_evidence const& evidence) {
    if (evidence.kernel_log.empty())
        return evidence.console;
    auto const told = scan_kernel_log(evidence.kernel_log);
    auto const shown = scan_kernel_log(evidence.console);
    for (auto const event : {log_event::panic, log_event::init_killed, log_event::oops})
        if (shown.has(event) && !told.has(event)) // The agent could not send what killed it.
            return evidence.kernel_log + "\n--- what only the console saw ---\n" + evidence.console;
    return evidence.kernel_log;
}

outcome<exit_code> program_exit(plan const& what, machine_outcome const& ended) {
    auto const judged = judge(what, ended.evidence);
    auto const code = static_cast<exit_code>(ktstr::exit_code(judged, false));
    if (judged.outcome == outcome_kind::pass || (judged.from_command && judged.outcome == outcome_kind::fail))
        return code;
    return problem_of(code, judged.line, std::string(name_of(judged.outcome)),
                      "the guest's log may say more: use --dmesg FILE or --console");
}

std::string utc_timestamp() {
    auto const now = ::time(nullptr);
    tm parts{};
    ::gmtime_r(&now, &parts);
    char text[32];
    auto const n = ::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return std::string(text, n);
}

} // namespace ktstr::tool
