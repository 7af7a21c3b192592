// SPDX-License-Identifier: Apache-2.0
/// \file
/// Judging a run, and what its report is made of.
#include "ktstr-run/report.hpp"

#include "ktstr/scenario/kernel_log.hpp"

#include <ctime>

namespace ktstr::tool {

run_report make_report(report_input in) {
    run_report out;
    out.in = std::move(in);
    out.judged = judge(*out.in.what, out.in.machine->evidence);
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
