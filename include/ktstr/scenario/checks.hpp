// SPDX-License-Identifier: Apache-2.0
/// \file
/// The checks: each a pure function from plan and evidence to one result with its worst number and its bound.
#pragma once

#include "ktstr/scenario/fair_share.hpp"
#include "ktstr/scenario/kernel_log.hpp"
#include "ktstr/scenario/shares.hpp"
#include "ktstr/scenario/verdict.hpp"
#include "ktstr/wire/wake_histogram.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

namespace ktstr {

/// Least delivered CPU time a worker's fair share must come to before its share is judged.
inline constexpr double least_fair_ns = 20e6;
/// Of workers that had less than this to expect (25 slices) nothing bad is said for sure: one slice of a neighbour that a
/// vCPU could not end in time is too large a part of it. Seen at 16 CPUs on one, 3 s, on a host with other work.
inline constexpr double sure_fair_ns = 100e6;
/// A scheduling slice as these kernels cut it, for the noise of a share made of few slices.
inline constexpr double slice_ns = 4e6;
/// Below this part of the declared service a gap is blamed on the host, below `hopeless_service` everything is.
inline constexpr double poor_service = 0.5, hopeless_service = 0.1;
/// Above this part of stalled time a gap is blamed on the host.
inline constexpr double poor_stall = 0.3;

/// Below this percentage of the best pace seen, likewise: emulators lose time that no account shows.
inline constexpr double poor_pace = 25.0;

/// Everything a check may look at.
struct check_input {
    plan const& wanted;
    run_evidence const& seen;
    log_findings const& log;
    delivery const& time;
    share_table const& shares;
};

namespace detail {
[[nodiscard]] inline std::string worker_name(plan const& p, wire::worker_report const& w) {
    return p.cgroups[w.cgroup].name + " worker " + std::to_string(w.index);
}
[[nodiscard]] inline check_result not_run(check_id id) { return {.id = id}; }
} // namespace detail

/// The guest's own comparison with the topology asked for.
[[nodiscard]] inline check_result check_topology_seen(check_input const& in) {
    check_result out{.id = check_id::topology, .unit = unit_kind::count};
    if (!in.seen.topology || !in.seen.topology->checked)
        return out;
    out.measured = static_cast<double>(in.seen.topology->mismatches.size());
    out.state = in.seen.topology->mismatches.empty() ? check_state::pass : check_state::fail;
    if (!in.seen.topology->mismatches.empty())
        out.subject = in.seen.topology->mismatches.front().substr(0, 240);
    return out;
}

/// Oops, lockups, RCU stalls, hung tasks in the log.
[[nodiscard]] inline check_result check_log(check_input const& in) {
    check_result out{.id = check_id::kernel_log, .unit = unit_kind::count};
    if (!in.wanted.checks.kernel_log)
        return out;
    out.state = check_state::pass;
    for (auto const event : {log_event::oops, log_event::hard_lockup, log_event::soft_lockup, log_event::rcu_stall,
                             log_event::hung_task}) {
        out.measured += in.log.count[static_cast<std::size_t>(event)];
        if (in.log.has(event) && out.state == check_state::pass) {
            out.state = check_state::fail;
            out.subject = in.log.line(event);
        }
    }
    return out;
}

/// Which scheduler a state names: its ops, or "default".
[[nodiscard]] inline std::string scheduler_name(wire::scheduler_state const& s) {
    return s.ops.empty() || s.state == "disabled" ? std::string("default") : s.ops;
}

/// The named scheduler ran from beginning to end, and no scheduler died.
[[nodiscard]] inline check_result check_scheduler(check_input const& in) {
    check_result out{.id = check_id::scheduler, .unit = unit_kind::none};
    auto const& wanted = in.wanted.checks.scheduler;
    if (in.log.has(log_event::scheduler_death)) {
        out.state = check_state::fail;
        out.subject = in.log.line(log_event::scheduler_death);
        return out;
    }
    if (!in.seen.scheduler_before || !in.seen.scheduler_after)
        return out;
    auto const before = scheduler_name(*in.seen.scheduler_before), after = scheduler_name(*in.seen.scheduler_after);
    auto const fits = [&](std::string const& name) {
        return wanted.empty() || name == wanted ||
               (name.starts_with(wanted) && (name[wanted.size()] == '_' || name[wanted.size()] == '-'));
    };
    out.state = check_state::pass;
    if (!fits(before) || !fits(after)) {
        out.state = check_state::fail;
        out.subject = wanted + " was named, " + (fits(before) ? after : before) + " ran";
    } else if (before != after || in.seen.scheduler_before->enable_seq != in.seen.scheduler_after->enable_seq) {
        out.state = check_state::fail;
        out.subject = "the scheduler changed during the run: " + before + " before, " + after + " after";
    } else {
        out.subject = before;
    }
    return out;
}

/// Nobody was killed for memory.
[[nodiscard]] inline check_result check_memory(check_input const& in) {
    check_result out{.id = check_id::memory, .state = check_state::pass, .unit = unit_kind::count};
    for (auto const& g : in.seen.cgroups)
        if (g.cgroup < in.wanted.cgroups.size() && g.oom_kills != 0) {
            out.measured += static_cast<double>(g.oom_kills);
            out.subject = "a process of " + in.wanted.cgroups[g.cgroup].name + " was killed for its memory";
        }
    if (in.log.has(log_event::out_of_memory)) {
        out.measured = std::max(out.measured, double{1});
        if (out.subject.empty())
            out.subject = in.log.line(log_event::out_of_memory);
    }
    if (out.measured > 0)
        out.state = check_state::fail;
    return out;
}

/// Every worker of the plan reported and none ended before it was asked to.
[[nodiscard]] inline check_result check_lifetime(check_input const& in) {
    check_result out{.id = check_id::lifetime, .state = check_state::pass, .unit = unit_kind::count};
    std::size_t wanted = 0, seen = 0;
    for (auto const& g : in.wanted.cgroups)
        wanted += g.workers;
    for (auto const& w : in.seen.workers) {
        if (!belongs(in.wanted, w))
            continue;
        ++seen;
        if (w.end != wire::worker_end::signaled && w.end != wire::worker_end::exited_early)
            continue;
        ++out.measured;
        out.state = check_state::fail;
        if (out.subject.empty())
            out.subject =
                detail::worker_name(in.wanted, w) +
                (w.end == wire::worker_end::signaled ? " was killed by signal " : " exited early with code ") +
                std::to_string(w.end_code);
    }
    if (out.state == check_state::pass && seen < wanted) {
        out.state = check_state::fail;
        out.measured = static_cast<double>(wanted - seen);
        out.subject = std::to_string(wanted - seen) + " workers never reported";
    }
    return out;
}

/// Workers ran on CPUs of their cgroup only.
[[nodiscard]] inline check_result check_isolation(check_input const& in) {
    if (!in.wanted.checks.isolation)
        return detail::not_run(check_id::isolation);
    check_result out{.id = check_id::isolation, .state = check_state::pass, .unit = unit_kind::count};
    for (auto const& w : in.seen.workers) {
        if (!belongs(in.wanted, w))
            continue;
        auto const allowed = allowed_cpus(in.wanted, w.cgroup);
        for (std::size_t c = 0; c < w.cpus_used.size() * 64; ++c)
            if ((w.cpus_used[c / 64] >> (c % 64) & 1) != 0 &&
                !std::binary_search(allowed.begin(), allowed.end(), static_cast<std::uint32_t>(c))) {
                ++out.measured;
                out.state = check_state::fail;
                if (out.subject.empty())
                    out.subject =
                        detail::worker_name(in.wanted, w) + " ran on CPU " + std::to_string(c) + ", outside its cpuset";
            }
    }
    return out;
}

/// Every worker did some work.
[[nodiscard]] inline check_result check_progress(check_input const& in) {
    if (!in.wanted.checks.progress)
        return detail::not_run(check_id::progress);
    check_result out{.id = check_id::progress, .state = check_state::pass, .unit = unit_kind::count};
    for (auto const& w : in.seen.workers)
        if (belongs(in.wanted, w) && w.work_units == 0) {
            ++out.measured;
            out.state = check_state::fail;
            if (out.subject.empty())
                out.subject = detail::worker_name(in.wanted, w) + " did no work at all";
        }
    // On a machine that got next to nothing, doing nothing is no fault of the scheduler.
    auto const workers = static_cast<double>(in.seen.workers.size());
    if (out.state == check_state::fail && in.time.known &&
        static_cast<double>(in.time.cpu_ns) < sure_fair_ns * workers)
        out.state = check_state::inconclusive;
    return out;
}

/// No worker got less than the given part of its fair share, nor did all of them together of what was delivered.
[[nodiscard]] inline check_result check_starvation(check_input const& in) {
    auto const bound = static_cast<double>(in.wanted.checks.starvation_percent);
    check_result out{.id = check_id::starvation, .bound = bound, .unit = unit_kind::percent};
    if (bound <= 0)
        return out;
    double worst = 1e18, thinnest = 1e18;
    for (auto const& s : in.shares.workers) {
        if (!s.judged)
            continue;
        thinnest = std::min(thinnest, s.fair_ns);
        if (s.blamed_percent() < worst) {
            worst = s.blamed_percent();
            out.subject = detail::worker_name(in.wanted, in.seen.workers[s.report]);
        }
    }
    if (worst > 1e17)
        return out;
    out.measured = worst;
    if (thinnest < least_fair_ns) {
        out.state = check_state::inconclusive;
        out.subject =
            "only " + std::to_string(static_cast<long>(thinnest / 1e6)) + " ms of CPU time a worker were delivered";
        return out;
    }
    // By the guest's accounts and not by pace: time that something below the host takes without telling (an emulator whose
    // own CPU is shared) slows everybody, but whoever takes time inside the guest is in the guest's accounts.
    if (in.shares.used_percent > 0 && in.shares.used_percent < std::min(bound, worst)) {
        out.measured = in.shares.used_percent;
        out.subject = "all workers together";
    }
    out.state = out.measured >= bound ? check_state::pass : thinnest < sure_fair_ns ? check_state::inconclusive : check_state::fail;
    if (out.state == check_state::inconclusive)
        out.subject += ", of " + std::to_string(static_cast<long>(thinnest / 1e6)) + " ms that it had to expect; run longer to be sure";
    return out;
}

/// Within each cgroup, the largest and the smallest share are not too far apart. The bound is widened by what chance does
/// to a share of few slices: six standard deviations of a count.
[[nodiscard]] inline check_result check_spread(check_input const& in) {
    auto const base = static_cast<double>(in.wanted.checks.spread_percent);
    check_result out{.id = check_id::spread, .bound = base, .unit = unit_kind::percent};
    if (base <= 0)
        return out;
    for (std::uint32_t g = 0; g < in.wanted.cgroups.size(); ++g) {
        double low = 1e18, high = 0, fair = 0;
        for (auto const& s : in.shares.workers)
            if (s.judged && in.seen.workers[s.report].cgroup == g) {
                low = std::min(low, s.blamed_percent());
                high = std::max(high, s.percent());
                fair = s.fair_ns;
            }
        if (fair <= 0)
            continue;
        auto const bound = base + 600.0 / std::sqrt(std::max(1.0, fair / slice_ns));
        auto state = high - low > bound ? check_state::fail : check_state::pass;
        if (fair < least_fair_ns || (state == check_state::fail && fair < sure_fair_ns))
            state = check_state::inconclusive;
        auto const weight = [](check_state s) {
            return s == check_state::not_run ? 0 : s == check_state::pass ? 1 : s == check_state::inconclusive ? 2 : 3;
        };
        if (weight(state) > weight(out.state) || (state == out.state && high - low > out.measured)) {
            out.state = state;
            out.measured = high - low;
            out.bound = bound;
            out.subject = in.wanted.cgroups[g].name;
        }
    }
    return out;
}

/// No worker that wanted to run waited longer than the bound for a CPU that was there.
[[nodiscard]] inline check_result check_gap(check_input const& in) {
    auto const bound = static_cast<double>(in.wanted.checks.gap_ns);
    check_result out{.id = check_id::gap, .bound = bound, .unit = unit_kind::nanoseconds};
    if (bound <= 0)
        return out;
    bool by_work = false;
    for (auto const& w : in.seen.workers) {
        if (!belongs(in.wanted, w) || !always_runnable(in.wanted.cgroups[w.cgroup].work))
            continue;
        if (out.state == check_state::not_run)
            out.state = check_state::pass;
        auto const gap = measure_gap(in.seen, in.time, in.shares, w);
        by_work |= static_cast<double>(gap.by_work_ns) > bound;
        if (static_cast<double>(gap.worst()) > out.measured) {
            out.measured = static_cast<double>(gap.worst());
            out.subject = detail::worker_name(in.wanted, w) + " on CPU " +
                          std::to_string(gap.by_work_ns >= gap.by_service_ns ? w.waited_cpu : w.gap_cpu);
        }
    }
    if (out.measured > bound) {
        // Work that others did meanwhile is proof; time on a disturbed machine is not.
        bool const disturbed = in.time.known && (in.time.service < poor_service || in.time.stall > poor_stall ||
                                                 (in.shares.pace_percent > 0 && in.shares.pace_percent < poor_pace));
        out.state = !by_work && disturbed ? check_state::inconclusive : check_state::fail;
    }
    return out;
}

/// 99 % of the sleepers' wakes came within the bound.
[[nodiscard]] inline check_result check_wake(check_input const& in) {
    auto const bound = static_cast<double>(in.wanted.checks.wake_p99_ns);
    check_result out{.id = check_id::wake, .bound = bound, .unit = unit_kind::nanoseconds};
    if (bound <= 0)
        return out;
    for (auto const& w : in.seen.workers) {
        if (!belongs(in.wanted, w) || w.wakes == 0)
            continue;
        if (out.state == check_state::not_run)
            out.state = check_state::pass;
        // The guest's clock runs on while its CPU is away: take the declared oversubscription out.
        auto const p99 = static_cast<double>(wire::wake_percentile(w.wake_histogram, 99)) / in.time.declared;
        if (p99 > out.measured) {
            out.measured = p99;
            out.subject = detail::worker_name(in.wanted, w);
        }
    }
    if (out.measured > bound)
        out.state = in.time.known && in.time.service < poor_service ? check_state::inconclusive : check_state::fail;
    return out;
}

/// Every worker stopped when asked.
[[nodiscard]] inline check_result check_stop(check_input const& in) {
    check_result out{.id = check_id::stop, .state = check_state::pass, .unit = unit_kind::count};
    for (auto const& w : in.seen.workers)
        if (belongs(in.wanted, w) && w.end == wire::worker_end::killed_after_stop) {
            ++out.measured;
            out.state = check_state::fail;
            if (out.subject.empty())
                out.subject = detail::worker_name(in.wanted, w) + " did not stop and was killed";
        }
    return out;
}

/// The host gave the machine enough of what was declared for any of this to mean something.
[[nodiscard]] inline check_result check_delivery(check_input const& in) {
    check_result out{.id = check_id::delivery, .bound = 100 * hopeless_service, .unit = unit_kind::percent};
    if (!in.time.known)
        return out;
    out.measured = 100 * in.time.service;
    out.state = in.time.service < hopeless_service ? check_state::inconclusive : check_state::pass;
    if (out.state == check_state::inconclusive)
        out.subject = "the host was too busy with other things";
    return out;
}

} // namespace ktstr
