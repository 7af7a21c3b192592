// SPDX-License-Identifier: Apache-2.0
/// \file
/// Turns work done into CPU time got, and holds it against what was fair.
///
/// Work units are the one measure that stolen time cannot forge: a worker that is charged for time it never had does no
/// work in it. So each worker's part of the delivered CPU time is taken from its units, weighed by what a unit of its
/// work type costs, and compared with others that competed for the same CPUs.
#pragma once

#include "ktstr/scenario/delivery.hpp"
#include "ktstr/scenario/evidence.hpp"
#include "ktstr/scenario/fair_share.hpp"
#include "ktstr/scenario/plan.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ktstr {

/// One worker's part.
struct worker_share {
    std::size_t report = 0; ///< Index into the evidence's workers.
    double got_ns = 0;      ///< Delivered CPU time it consumed.
    double fair_ns = 0;     ///< What it should have had; 0 = cannot be said.
    bool judged = false;    ///< Whether the comparison means something for its work type.
    /// Part of the fair share in percent.
    [[nodiscard]] double percent() const noexcept { return fair_ns > 0 ? 100.0 * got_ns / fair_ns : 0.0; }
    double charged_percent = 0; ///< Time on a CPU by the guest's accounts, % of the fair part; 0 = unknown.
    /// What the guest's scheduler is to answer for. A worker that did little although the guest had it on a CPU all the
    /// time sat on a vCPU that got nothing: the host's doing. One that waited in a runqueue is low in both.
    [[nodiscard]] double blamed_percent() const noexcept {
        auto const by_work = percent();
        return by_work >= 100.0 ? by_work : std::max(by_work, std::min(100.0, charged_percent));
    }
};

/// All workers' parts, and what they make together.
struct share_table {
    std::vector<worker_share> workers;
    double unit_ns = 0; ///< Delivered CPU time per unit, over all workers; 0 when nobody worked.
    /// Workers' CPU time as the guest accounts it, % of what their CPUs had to give by the guest's clock: low when something
    /// else took the CPUs, or when they idled while workers wanted them. 0 = unknown.
    double used_percent = 0;
    /// The fastest batch's time by unit over the mean: low on a machine disturbed unseen. 0 = unknown.
    double pace_percent = 0;
};

/// Reports that belong to the plan: the evidence comes from a guest that may claim anything.
[[nodiscard]] inline bool belongs(plan const& p, wire::worker_report const& w) noexcept {
    return w.cgroup < p.cgroups.size() && w.index < p.cgroups[w.cgroup].workers;
}

namespace detail {
/// The scenario's length in guest time; 0 when its ends are not known.
[[nodiscard]] inline double guest_length(run_evidence const& e) noexcept {
    if (!e.scenario_start || !e.scenario_end || e.scenario_end->guest_ns <= e.scenario_start->guest_ns)
        return 0;
    return static_cast<double>(e.scenario_end->guest_ns - e.scenario_start->guest_ns);
}

/// What the workers that always want to run were charged, % of what the CPUs of their pools could give. A kernel that takes
/// stolen time out of the charge (PARAVIRT_TIME_ACCOUNTING) cannot be told from one whose CPUs went elsewhere when the
/// charge is about what was delivered: then the answer is 100.
[[nodiscard]] inline double used_percent(plan const& p, run_evidence const& e, double delivered) {
    auto const wall = guest_length(e);
    double could = 0, charged = 0;
    for (auto const& pool : share_pools(p)) {
        std::size_t workers = 0;
        for (auto const g : pool.cgroups)
            if (always_runnable(p.cgroups[g].work))
                workers += p.cgroups[g].workers;
        could += wall * static_cast<double>(std::min(workers, pool.cpus.size()));
    }
    for (auto const& w : e.workers)
        if (belongs(p, w) && always_runnable(p.cgroups[w.cgroup].work))
            charged += static_cast<double>(w.cpu_ns);
    if (could <= 0)
        return 0;
    bool const without_steal =
        delivered > 0 && delivered < could / 2 && charged > 0.65 * delivered && charged < 1.35 * delivered;
    return without_steal ? 100.0 : 100.0 * charged / could;
}
} // namespace detail

/// The table. With unknown delivery the guest's own CPU time stands in for the delivered one.
[[nodiscard]] inline share_table make_shares(plan const& p, run_evidence const& e, delivery const& d) {
    share_table out;
    constexpr auto kinds = static_cast<std::size_t>(last_of(work_type{})) + 1;
    std::array<double, kinds> cpu{}, units{}; // by work type: what a unit costs depends on it
    auto const kind = [&](wire::worker_report const& w) { return static_cast<std::size_t>(p.cgroups[w.cgroup].work); };
    double all_cpu = 0, all_units = 0, fastest = 0;
    for (auto const& w : e.workers) {
        if (!belongs(p, w))
            continue;
        cpu[kind(w)] += static_cast<double>(w.cpu_ns);
        units[kind(w)] += static_cast<double>(w.work_units);
        all_cpu += static_cast<double>(w.cpu_ns);
        all_units += static_cast<double>(w.work_units);
        fastest += static_cast<double>(w.work_units) * static_cast<double>(w.fastest_unit_ps) / 1000.0;
    }
    auto const delivered = d.known ? static_cast<double>(d.cpu_ns) : all_cpu;
    if (all_units > 0)
        out.unit_ns = delivered / all_units;
    if (d.known && d.cpu_ns > 0)
        out.pace_percent = 100.0 * fastest / delivered;
    out.used_percent = detail::used_percent(p, e, d.known ? delivered : 0);

    // What each worker got, first in guest CPU time at its work type's price, then scaled to the delivered total.
    double sum = 0;
    for (std::size_t i = 0; i < e.workers.size(); ++i) {
        auto const& w = e.workers[i];
        if (!belongs(p, w))
            continue;
        auto const price = units[kind(w)] > 0 ? cpu[kind(w)] / units[kind(w)] : 0.0;
        worker_share share{.report = i, .got_ns = static_cast<double>(w.work_units) * price};
        sum += share.got_ns;
        out.workers.push_back(share);
    }
    if (sum > 0)
        for (auto& s : out.workers)
            s.got_ns *= delivered / sum;

    // What was fair. Spinners share what the spinners of their pool got; others are compared within their cgroup.
    auto fair_plan = p;
    for (auto& g : fair_plan.cgroups)
        if (!demands_share(g.work))
            g.workers = 0;
    auto const fair = fair_cpus(fair_plan);
    for (auto const& pool : share_pools(p)) {
        double got = 0, weight = 0;
        auto const in_pool = [&](worker_share const& s) {
            return std::binary_search(pool.cgroups.begin(), pool.cgroups.end(), e.workers[s.report].cgroup);
        };
        for (auto const g : pool.cgroups)
            if (demands_share(p.cgroups[g].work))
                weight += fair[g] * p.cgroups[g].workers;
        for (auto const& s : out.workers)
            if (in_pool(s) && demands_share(p.cgroups[e.workers[s.report].cgroup].work))
                got += s.got_ns;
        for (auto& s : out.workers) {
            auto const g = e.workers[s.report].cgroup;
            if (!in_pool(s) || !always_runnable(p.cgroups[g].work))
                continue;
            if (demands_share(p.cgroups[g].work)) {
                s.fair_ns = weight > 0 ? got * fair[g] / weight : 0;
                if (auto const length = detail::guest_length(e); length > 0 && fair[g] > 0)
                    s.charged_percent = 100.0 * static_cast<double>(e.workers[s.report].cpu_ns) / (length * fair[g]);
            } else {
                double own = 0;
                for (auto const& o : out.workers)
                    if (e.workers[o.report].cgroup == g)
                        own += o.got_ns;
                s.fair_ns = own / p.cgroups[g].workers;
            }
            s.judged = s.fair_ns > 0;
        }
    }
    return out;
}

/// How long a worker waited for a CPU that was there to be had, nanoseconds of delivered or offered CPU time.
struct fair_gap {
    std::int64_t by_work_ns = 0; ///< Time others worked on its CPU between two of its own steps.
    /// The gap on the guest's clock, less what the host withheld and the guest's stalls.
    std::int64_t by_service_ns = 0;
    [[nodiscard]] std::int64_t worst() const noexcept { return std::max(by_work_ns, by_service_ns); }
};

/// The gap of one worker.
[[nodiscard]] inline fair_gap measure_gap(run_evidence const& e, delivery const& d, share_table const& shares,
                                          wire::worker_report const& w) {
    fair_gap out;
    constexpr double most = 9e18;
    out.by_work_ns = static_cast<std::int64_t>(std::min(most, static_cast<double>(w.waited_units) * shares.unit_ns));
    auto const gap = claimed_time(w.gap_ns);
    if (!d.known) {
        out.by_service_ns = static_cast<std::int64_t>(static_cast<double>(gap) / d.declared);
        return out;
    }
    auto const end = claimed_time(w.gap_at_ns) + clock_offset(e);
    auto const offered = offered_between(e, w.gap_cpu, end - gap, end);
    auto const from = w.gap_at_ns > w.gap_ns ? w.gap_at_ns - w.gap_ns : 0;
    out.by_service_ns =
        std::max<std::int64_t>(0, std::min(gap, offered) - stalled_between(e, from, w.gap_at_ns, progress_period));
    return out;
}

} // namespace ktstr
