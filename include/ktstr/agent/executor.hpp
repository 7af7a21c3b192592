// SPDX-License-Identifier: Apache-2.0
/// \file
/// Runs a scenario in the guest: cgroups, workers, the wait, the reports.
#pragma once

#include "ktstr/agent/cgroup.hpp"
#include "ktstr/agent/crash_handler.hpp"
#include "ktstr/agent/crew.hpp"
#include "ktstr/agent/faults.hpp"
#include "ktstr/agent/session.hpp"
#include "ktstr/scenario/plan.hpp"
#include "ktstr/wire/messages.hpp"

#include <algorithm>
#include <cstdint>
#include <string>

namespace ktstr::agent {

/// Time between two progress messages.
inline constexpr std::uint64_t progress_period_ns = 500'000'000;

namespace detail {
template <CgroupTree Groups>
[[nodiscard]] result<> make_cgroups(plan const& p, Groups& groups) {
    groups.enable_controllers("");
    for (auto const& g : p.cgroups) {
        KTSTR_CHECK(groups.make(g.name));
        if (!g.cpus.empty())
            KTSTR_CHECK(groups.set(g.name, "cpuset.cpus", cpu_list_text(g.cpus), "cpuset.cpus"));
        if (g.weight != 100)
            KTSTR_CHECK(groups.set(g.name, "cpu.weight", std::to_string(g.weight), "cpu.weight"));
    }
    return {};
}

inline void send_progress(session& host, crew const& workers) {
    wire::progress message;
    message.guest_ns = guest_now();
    message.at = host.at();
    message.units = workers.units();
    host.send(message);
    note_crash_context(host.at(), host.sequence());
}

[[nodiscard]] inline int until_ms(std::uint64_t due, std::uint64_t now) noexcept {
    return due <= now ? 0 : static_cast<int>(std::min<std::uint64_t>((due - now) / 1'000'000 + 1, 500));
}
} // namespace detail

/// Runs the plan's scenario in cgroups below `groups` and sends every report. The phase of a failure is the session's,
/// what it was about the session's `detail`. Workers and cgroups are gone afterwards, however it ends.
template <CgroupTree Groups>
[[nodiscard]] result<> run_scenario(plan const& p, session& host, Groups& groups) {
    using wire::agent_phase;
    host.enter(agent_phase::cgroups);
    if (auto const made = detail::make_cgroups(p, groups); !made) {
        host.detail = groups.detail();
        return made;
    }

    host.enter(agent_phase::spawn);
    fault_helpers helpers;
    crew workers;
    int const port = host.fd();
    if (auto const spawned = workers.spawn(p, groups,
                                           [port] {
                                               drop_crash_handler();
                                               if (port > 2)
                                                   ::close(port);
                                           });
        !spawned) {
        host.detail = groups.detail();
        return spawned;
    }

    host.enter(agent_phase::run);
    auto const start = guest_now();
    host.send(wire::scenario_start{start});
    workers.release();
    auto const end = start + p.duration_ns;
    auto const fault_at = p.fault.kind == fault_kind::none ? ~std::uint64_t{0} : start + p.fault.after_ns;
    bool fault_done = false;
    auto next_progress = start + progress_period_ns;
    for (auto now = start; now < end && !host.asked().stop && !host.host_gone(); now = guest_now()) {
        if (!fault_done && now >= fault_at) {
            inject_fault(p, host, workers, groups, helpers);
            fault_done = true;
        }
        if (now >= next_progress) {
            workers.reap();
            host.send_kernel_log();
            detail::send_progress(host, workers);
            next_progress = now + progress_period_ns;
        }
        host.pump(detail::until_ms(std::min({end, next_progress, fault_done ? end : fault_at}), now));
    }

    workers.request_stop();
    host.send(wire::scenario_end{guest_now(), host.asked().stop});
    host.enter(agent_phase::stop);
    helpers.kill_all();
    auto const give_up = guest_now() + p.stop_grace_ns;
    auto next_sign = guest_now() + progress_period_ns;
    for (workers.reap(); !workers.all_reaped() && guest_now() < give_up; workers.reap()) {
        if (guest_now() >= next_sign) {
            detail::send_progress(host, workers);
            next_sign = guest_now() + progress_period_ns;
        }
        ::usleep(2000);
    }
    workers.kill_all();

    host.enter(agent_phase::collect);
    for (std::size_t i = 0; i < workers.members().size(); ++i)
        host.send(workers.report(i));
    for (std::uint32_t g = 0; g < p.cgroups.size(); ++g) {
        wire::cgroup_report message;
        message.cgroup = g;
        message.effective_cpus = groups.get(p.cgroups[g].name, "cpuset.cpus.effective");
        while (message.effective_cpus.ends_with('\n'))
            message.effective_cpus.pop_back();
        auto const cpu = groups.get(p.cgroups[g].name, "cpu.stat");
        message.usage_us = stat_value(cpu, "usage_usec");
        message.throttled_us = stat_value(cpu, "throttled_usec");
        message.oom_kills = stat_value(groups.get(p.cgroups[g].name, "memory.events"), "oom_kill");
        host.send(message);
    }
    for (auto const& g : p.cgroups)
        (void)groups.remove(g.name);
    return {};
}

} // namespace ktstr::agent
