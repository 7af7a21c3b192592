// SPDX-License-Identifier: Apache-2.0
/// \file
/// A run in which nothing is wrong, for tests to break one thing at a time.
#pragma once

#include "ktstr/scenario/builtin.hpp"
#include "ktstr/scenario/evidence.hpp"
#include "ktstr/scenario/judge.hpp"

#include <cstdint>
#include <string>

namespace fake {
using namespace ktstr;

inline constexpr std::uint64_t guest_start = 10'000'000'000, guest_length = 5'000'000'000;
inline constexpr std::int64_t host_offset = 90'000'000'000; // host time = guest time + this

struct run {
    plan wanted;
    run_evidence seen;

    /// `scenario` on 4 CPUs backed by `host_cpus`, perfectly fair, five seconds.
    explicit run(std::string_view scenario = "steady", std::uint32_t host_cpus = 4) {
        wanted = *make_builtin(scenario, make_topology_plan(topology{1, 1, 4, 1}), {.host_cpus = host_cpus});
        auto& e = seen;
        e.start_ns = host_offset;
        e.hello = wire::hello{.release = "7.3"};
        e.hello_ns = host_offset + 9'000'000'000;
        e.phases = {{wire::agent_phase::run, guest_start, host(guest_start)}};
        e.topology = wire::topology_report{true, 4, {}};
        e.scheduler_before = wire::scheduler_state{.ext_supported = true, .state = "disabled"};
        e.scheduler_after = e.scheduler_before;
        e.scheduler_after->when = wire::state_moment::after_run;
        e.scenario_start = wire::scenario_start{guest_start};
        e.scenario_end = wire::scenario_end{guest_start + guest_length, false};
        for (std::uint64_t at = guest_start; at <= guest_start + guest_length; at += progress_period)
            e.progress.push_back({at, host(at), 0});
        e.exit = wire::exit_message{0};
        e.end = {end_kind::i8042_reset, 0};
        e.end_ns = e.last_message_ns = host(guest_start + guest_length) + 1'000'000;
        deliver(1.0);
        make_workers();
    }

    static std::int64_t host(std::uint64_t guest) { return static_cast<std::int64_t>(guest) + host_offset; }

    /// The host gives `part` of what was declared, evenly; a vCPU that does not run waits.
    void deliver(double part) {
        auto const rate = part * (wanted.host_cpus >= 4 ? 1.0 : wanted.host_cpus / 4.0);
        seen.samples.clear();
        for (std::uint64_t t = 0; t <= guest_length; t += 100'000'000) {
            auto const cpu = static_cast<std::int64_t>(static_cast<double>(t) * rate);
            delivery_sample s{host(guest_start + t),
                              std::vector<vcpu_time>(4, {cpu, static_cast<std::int64_t>(t) - cpu})};
            if (t == 0)
                seen.at_start = s;
            if (t == guest_length)
                seen.at_end = s;
            seen.samples.push_back(std::move(s));
        }
        rate_ = rate;
    }

    /// All workers of the plan with equal shares, 2 us of delivered time a unit.
    void make_workers() {
        seen.workers.clear();
        for (std::uint32_t g = 0; g < wanted.cgroups.size(); ++g) {
            auto const fair = fair_cpus(wanted)[g] * static_cast<double>(guest_length) * rate_;
            for (std::uint32_t i = 0; i < wanted.cgroups[g].workers; ++i) {
                wire::worker_report w;
                w.cgroup = g, w.index = i, w.pid = static_cast<std::int32_t>(100 + i);
                w.work_units = static_cast<std::uint64_t>(fair / 2000);
                w.iterations = w.work_units / 8;
                w.wall_ns = guest_length;
                w.cpu_ns = static_cast<std::uint64_t>(fair / rate_); // stolen time counts as run time
                w.fastest_unit_ps = 1'900'000;
                w.gap_ns = 8'000'000, w.gap_at_ns = guest_start + 1'000'000'000;
                w.waited_units = 2000, w.waited_at_ns = w.gap_at_ns; // 4 ms
                auto const cpus = allowed_cpus(wanted, g);
                w.cpus_used = {0};
                for (auto const c : cpus)
                    w.cpus_used[0] |= std::uint64_t{1} << c;
                w.gap_cpu = w.waited_cpu = cpus.front();
                seen.workers.push_back(w);
            }
            seen.cgroups.push_back({g, cpu_text(allowed_cpus(wanted, g)), 1000, 0, 0});
        }
    }

    static std::string cpu_text(std::vector<std::uint32_t> const& cpus) {
        return std::to_string(cpus.front()) + "-" + std::to_string(cpus.back());
    }

    [[nodiscard]] verdict judged() const { return judge(wanted, seen); }
    [[nodiscard]] check_result check(check_id id) const {
        for (auto const& c : judged().checks)
            if (c.id == id)
                return c;
        return {.id = id};
    }

private:
    double rate_ = 1.0;
};
} // namespace fake
