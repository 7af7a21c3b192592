// SPDX-License-Identifier: Apache-2.0
/// \file
/// From plan and evidence to a verdict: the one place that decides what came out of a run.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/scenario/checks.hpp"
#include "ktstr/scenario/delivery.hpp"
#include "ktstr/scenario/evidence.hpp"
#include "ktstr/scenario/kernel_log.hpp"
#include "ktstr/scenario/plan.hpp"
#include "ktstr/scenario/shares.hpp"
#include "ktstr/scenario/verdict.hpp"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

namespace ktstr {

/// What an end of the machine is called.
[[nodiscard]] constexpr std::string_view name_of(end_kind k) noexcept {
    constexpr std::array<std::string_view, 12> names{
        "stopped by us",   "reset through the i8042", "ACPI reset", "power-off",     "triple fault", "fatal KVM exit",
        "KVM_RUN failure", "boot deadline",           "time limit", "guest silence", "interrupted",  "host failure"};
    auto const at = static_cast<std::size_t>(k);
    return at < names.size() ? names[at] : "unknown end";
}

namespace detail {

[[nodiscard]] inline std::string seconds_text(std::int64_t ns) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f s", static_cast<double>(ns) / 1e9);
    return text;
}

/// A number with its unit, short enough for a line.
[[nodiscard]] inline std::string quantity(double value, unit_kind unit) {
    char text[48];
    switch (unit) {
    case unit_kind::nanoseconds:
        if (value >= 1e9)
            std::snprintf(text, sizeof text, "%.2f s", value / 1e9);
        else if (value >= 1e6)
            std::snprintf(text, sizeof text, "%.1f ms", value / 1e6);
        else
            std::snprintf(text, sizeof text, "%.1f us", value / 1e3);
        break;
    case unit_kind::percent: std::snprintf(text, sizeof text, "%.1f %%", value); break;
    case unit_kind::count:
    case unit_kind::none: std::snprintf(text, sizeof text, "%.0f", value); break;
    }
    return text;
}

/// Where the guest was when last heard.
[[nodiscard]] inline std::string last_phase(run_evidence const& e) {
    if (!e.hello)
        return "before its first message";
    return e.phases.empty() ? std::string("right after hello")
                            : "in phase " + std::string(wire::name_of(e.phases.back().id));
}

struct decision {
    outcome_kind outcome;
    std::string line;
};

/// What the agent's own failure means.
[[nodiscard]] inline decision judge_agent_error(wire::agent_error const& a) {
    std::string line = "the agent failed in phase " + std::string(wire::name_of(a.at)) + ": " + a.where.substr(0, 64) +
                       ": " + std::string(message(static_cast<errc>(a.code)));
    if (a.os_errno != 0)
        line += " (errno " + std::to_string(a.os_errno) + ")";
    if (!a.detail.empty())
        line += ", " + a.detail.substr(0, 160);
    if (a.at == wire::agent_phase::exec && a.where == "exec")
        return {outcome_kind::fail, "the command cannot be started in the guest: " + a.detail.substr(0, 160) +
                                        " (errno " + std::to_string(a.os_errno) + ")"};
    bool const lacks = a.os_errno == ENODEV || a.os_errno == ENOSYS || a.os_errno == EOPNOTSUPP ||
                       (a.at == wire::agent_phase::cgroups && a.os_errno == ENOENT) ||
                       (a.at == wire::agent_phase::shell && a.code == static_cast<std::uint32_t>(errc::not_found));
    return {lacks ? outcome_kind::skip : outcome_kind::host_error, std::move(line)};
}

/// Ends that no exit message can excuse, then deaths of the guest, then ends without an exit message. Nothing when the
/// guest said goodbye properly.
[[nodiscard]] inline std::optional<decision> judge_end(plan const& p, run_evidence const& e, log_findings const& log) {
    auto const value = std::to_string(e.end.value);
    switch (e.end.kind) {
    case end_kind::interrupted: return decision{outcome_kind::interrupted, "interrupted by signal " + value};
    case end_kind::host_failure:
        return decision{outcome_kind::host_error,
                        "our side failed: " + std::string(message(static_cast<errc>(e.end.value)))};
    default: break;
    }
    if (log.has(log_event::init_killed))
        return decision{outcome_kind::agent_crash,
                        "the agent (pid 1) died: " + std::string(log.line(log_event::init_killed))};
    if (log.has(log_event::panic))
        return decision{outcome_kind::guest_panic, "the guest panicked: " + std::string(log.line(log_event::panic))};
    if (e.crash)
        return decision{outcome_kind::agent_crash, "the agent died of signal " + std::to_string(e.crash->signal) +
                                                       " in phase " + std::string(wire::name_of(e.crash->at))};
    if (e.agent_error)
        return judge_agent_error(*e.agent_error);
    // A guest that stopped early because its time was running out says goodbye, too.
    bool const cut_short = p.mode == run_mode::scenario && (!e.scenario_end || e.scenario_end->early);
    if (e.exit && !(e.end.kind == end_kind::wall_limit && cut_short))
        return std::nullopt;

    auto const where = last_phase(e);
    auto const oops = log.has(log_event::oops) ? " after: " + std::string(log.line(log_event::oops)) : std::string{};
    switch (e.end.kind) {
    case end_kind::fatal:
        return decision{outcome_kind::host_error, "KVM could not run the guest " + where + " (reason " + value + ")"};
    case end_kind::run_error: return decision{outcome_kind::host_error, "KVM_RUN failed " + where + ", errno " + value};
    case end_kind::boot_timeout:
        return decision{outcome_kind::guest_hang, "the guest did not reach its agent within " +
                                                      seconds_text(static_cast<std::int64_t>(e.end.value)) +
                                                      " of CPU service" + oops};
    case end_kind::silence:
        return decision{outcome_kind::guest_hang, "the guest went silent " + where + " for " +
                                                      seconds_text(static_cast<std::int64_t>(e.end.value)) + oops};
    case end_kind::wall_limit: {
        // Told apart by the agent's sign of life, which comes twice a second.
        bool const silent = e.end_ns - e.last_message_ns > 10'000'000'000 && e.hello.has_value();
        return decision{
            silent ? outcome_kind::guest_hang : outcome_kind::wall_limit,
            "the time limit of " + seconds_text(static_cast<std::int64_t>(e.end.value)) + " was reached " + where +
                (silent ? ", last sign of life " + seconds_text(e.end_ns - e.last_message_ns) + " before" : "") + oops};
    }
    default: break;
    }
    if (log.has(log_event::agent_failed))
        return decision{outcome_kind::host_error, std::string(log.line(log_event::agent_failed))};
    if (e.end.kind == end_kind::triple_fault)
        return decision{outcome_kind::guest_panic, "the guest ended in a triple fault " + where + oops};
    if (p.mode == run_mode::shell && e.end.kind != end_kind::stopped)
        return decision{outcome_kind::pass, "the shell's machine ended by " + std::string(name_of(e.end.kind))};
    return decision{outcome_kind::fail, "the guest left (" + std::string(name_of(e.end.kind)) + ") " + where +
                                            " without an exit message" + oops};
}

[[nodiscard]] inline std::string check_line(check_result const& c) {
    std::string line = std::string(name_of(c.id)) + ": ";
    if (!c.subject.empty())
        line += c.subject;
    if (c.unit == unit_kind::percent || c.unit == unit_kind::nanoseconds)
        line += (c.subject.empty() ? "" : ", ") + quantity(c.measured, c.unit) + ", bound " + quantity(c.bound, c.unit);
    else if (c.subject.empty())
        line += quantity(c.measured, c.unit);
    return line;
}

[[nodiscard]] inline std::vector<cgroup_row> make_rows(plan const& p, run_evidence const& e, delivery const& d,
                                                       share_table const& shares) {
    std::vector<cgroup_row> rows(p.cgroups.size());
    std::vector<std::uint32_t> judged(rows.size(), 0);
    std::vector<std::array<std::uint32_t, wire::wake_buckets>> wakes(rows.size());
    for (std::size_t g = 0; g < rows.size(); ++g)
        rows[g].name = p.cgroups[g].name;
    for (auto const& w : e.workers) {
        if (!belongs(p, w))
            continue;
        auto& row = rows[w.cgroup];
        ++row.workers;
        row.units += w.work_units;
        row.iterations += w.iterations;
        row.migrations += w.migrations;
        row.run_delay_ns += w.run_delay_ns;
        row.raw_gap_ns = std::max(row.raw_gap_ns, w.gap_ns);
        if (always_runnable(p.cgroups[w.cgroup].work))
            row.gap_ns = std::max(row.gap_ns, measure_gap(e, d, shares, w).worst());
        for (std::size_t i = 0; i < w.wake_histogram.size() && i < wire::wake_buckets; ++i)
            wakes[w.cgroup][i] += w.wake_histogram[i];
    }
    for (auto const& s : shares.workers) {
        auto& row = rows[e.workers[s.report].cgroup];
        if (!s.judged)
            continue;
        auto& n = judged[e.workers[s.report].cgroup];
        row.share_min = n == 0 ? s.percent() : std::min(row.share_min, s.percent());
        row.share_max = std::max(row.share_max, s.percent());
        row.share_mean += s.percent();
        ++n;
    }
    for (std::size_t g = 0; g < rows.size(); ++g) {
        if (judged[g] != 0)
            rows[g].share_mean /= judged[g];
        if (rows[g].workers != 0)
            rows[g].run_delay_ns /= rows[g].workers;
        rows[g].wake_p50_ns = wire::wake_percentile(wakes[g], 50);
        rows[g].wake_p99_ns = wire::wake_percentile(wakes[g], 99);
    }
    for (auto const& c : e.cgroups)
        if (c.cgroup < rows.size()) {
            rows[c.cgroup].cpus = c.effective_cpus.substr(0, 256);
            rows[c.cgroup].usage_ns = c.usage_us * 1000;
            rows[c.cgroup].throttled_ns = c.throttled_us * 1000;
            rows[c.cgroup].oom_kills = c.oom_kills;
        }
    return rows;
}

[[nodiscard]] inline std::string pass_line(plan const& p, verdict const& v) {
    std::uint64_t workers = 0;
    double worst = 1e18;
    for (auto const& row : v.cgroups) {
        workers += row.workers;
        if (row.share_mean > 0)
            worst = std::min(worst, row.share_min);
    }
    std::string line = std::to_string(workers) + " workers in " + std::to_string(v.cgroups.size()) + " cgroups under " +
                       (v.scheduler.empty() ? std::string("an unknown scheduler") : v.scheduler);
    if (worst < 1e17)
        line += ", smallest share " + quantity(worst, unit_kind::percent) + " of fair";
    for (auto const& c : v.checks)
        if (c.id == check_id::gap && c.state == check_state::pass)
            line += ", longest wait " + quantity(c.measured, c.unit);
    if (p.scenario.empty())
        return line;
    return p.scenario + ": " + line;
}

} // namespace detail

/// Judges a run. Pure: same plan and evidence, same verdict. The evidence may hold anything a hostile guest can send.
[[nodiscard]] inline verdict judge(plan const& p, run_evidence const& e) {
    verdict v;
    v.end = e.end;
    v.phases = e.phases;
    v.vcpus = e.vcpus;
    v.exits = e.exits;
    v.frames = e.frames;
    v.boot_ns = e.hello ? e.hello_ns - e.start_ns : 0;
    v.signal = e.end.kind == end_kind::interrupted ? static_cast<int>(e.end.value & 0x7F) : 0;
    if (e.exit)
        v.guest_code = e.exit->code;
    if (e.scheduler_before)
        v.scheduler = scheduler_name(*e.scheduler_before);
    v.time = measure_delivery(p, e);

    // The agent forwards the kernel's log; the console has it when the agent could not.
    auto const from_agent = scan_kernel_log(e.kernel_log);
    auto const from_console = p.mode == run_mode::shell && e.exit ? log_findings{} : scan_kernel_log(e.console);
    auto log = from_agent;
    for (std::size_t i = 0; i < log_events; ++i)
        if (log.count[i] == 0) {
            log.count[i] = from_console.count[i];
            log.first[i] = from_console.first[i];
        }

    auto const shares = make_shares(p, e, v.time);
    check_input const in{p, e, log, v.time, shares};
    bool const scenario = p.mode == run_mode::scenario;
    if (scenario)
        v.cgroups = detail::make_rows(p, e, v.time, shares);

    if (auto ended = detail::judge_end(p, e, log)) {
        if (e.agent_error && e.agent_error->at == wire::agent_phase::exec && ended->outcome == outcome_kind::fail) {
            v.from_command = true; // as a shell answers for a command it cannot start
            v.guest_code = e.agent_error->os_errno == ENOENT ? 127 : 126;
        }
        v.outcome = ended->outcome;
        v.line = std::move(ended->line);
        if (log.count[static_cast<std::size_t>(log_event::oops)] != 0)
            v.checks.push_back(check_log(in));
        return v;
    }

    v.checks = {check_topology_seen(in), check_log(in), check_scheduler(in)};
    if (scenario)
        for (auto&& c :
             {check_memory(in), check_lifetime(in), check_isolation(in), check_progress(in), check_starvation(in),
              check_spread(in), check_gap(in), check_wake(in), check_stop(in), check_delivery(in)})
            v.checks.push_back(c);
    std::erase_if(v.checks, [](check_result const& c) { return c.state == check_state::not_run; });

    for (auto const state : {check_state::fail, check_state::inconclusive})
        for (auto const& c : v.checks)
            if (c.state == state) {
                v.outcome = state == check_state::inconclusive ? outcome_kind::inconclusive
                            : c.id == check_id::topology       ? outcome_kind::host_error
                                                               : outcome_kind::fail;
                v.line = detail::check_line(c);
                return v;
            }
    if (!scenario) {
        v.from_command = true;
        v.outcome = v.guest_code == 0 ? outcome_kind::pass : outcome_kind::fail;
        v.line = (p.mode == run_mode::exec ? "the command" : "the shell") + std::string(" ended with code ") +
                 std::to_string(v.guest_code);
        return v;
    }
    if (v.guest_code != 0) {
        v.outcome = outcome_kind::fail;
        v.line = "the guest's exit code is " + std::to_string(v.guest_code);
        return v;
    }
    if (!e.scenario_start || !e.scenario_end) {
        v.outcome = outcome_kind::host_error;
        v.line = "the guest said goodbye without running the scenario";
        return v;
    }
    v.line = detail::pass_line(p, v);
    return v;
}

} // namespace ktstr
