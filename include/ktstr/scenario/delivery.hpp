// SPDX-License-Identifier: Apache-2.0
/// \file
/// How much CPU time the host really gave the guest, when, and how far that is from what was declared.
///
/// Guests of these kernels count stolen time as run time, and the machine may run N vCPUs on one or two CPUs. So time is
/// measured here, from the vCPU threads' own accounts on the host: *delivered* is time on a CPU, *offered* is all time
/// that the thread did not spend waiting for one (a halted vCPU refuses what it is offered).
#pragma once

#include "ktstr/scenario/evidence.hpp"
#include "ktstr/scenario/plan.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ktstr {

/// Sums over the scenario, host nanoseconds.
struct delivery {
    bool known = false; ///< Samples at start and end are there and make sense.
    std::int64_t wall_ns = 0;
    std::int64_t cpu_ns = 0;     ///< Delivered, all vCPUs.
    std::int64_t delay_ns = 0;   ///< Waited for a CPU, all vCPUs.
    std::int64_t stalled_ns = 0; ///< Time by which progress messages came late: the whole guest stood still.
    double declared = 1.0;       ///< vCPUs by host CPU that the plan declares, at least 1.
    double service = 1.0;        ///< Delivered part of the time vCPUs wanted, over the declared part. 1 = as declared.
    double stall = 0.0;          ///< `stalled_ns` over `wall_ns`.
};

/// A time or a span that the guest claims, as a number that may be calculated with: at most 2^60 ns (36 years).
[[nodiscard]] constexpr std::int64_t claimed_time(std::uint64_t ns) noexcept {
    return static_cast<std::int64_t>(std::min<std::uint64_t>(ns, std::uint64_t{1} << 60));
}

/// vCPU `cpu`'s account at host time `at`, linear between the samples around it; the nearest one outside.
[[nodiscard]] inline vcpu_time vcpu_at(run_evidence const& e, std::size_t cpu, std::int64_t at) {
    delivery_sample const* before = nullptr;
    delivery_sample const* after = nullptr;
    auto const look = [&](delivery_sample const& s) {
        if (cpu >= s.vcpus.size())
            return;
        if (s.host_ns <= at && (before == nullptr || s.host_ns >= before->host_ns))
            before = &s;
        if (s.host_ns >= at && (after == nullptr || s.host_ns < after->host_ns))
            after = &s;
    };
    look(e.at_start);
    for (auto const& s : e.samples)
        look(s);
    look(e.at_end);
    if (before == nullptr && after == nullptr)
        return {};
    if (before == nullptr || after == nullptr || before->host_ns == after->host_ns)
        return (before != nullptr ? before : after)->vcpus[cpu];
    auto const span = static_cast<double>(after->host_ns - before->host_ns);
    auto const part = static_cast<double>(at - before->host_ns) / span;
    auto const between = [&](std::int64_t a, std::int64_t b) {
        return a + static_cast<std::int64_t>(static_cast<double>(b - a) * part);
    };
    return {between(before->vcpus[cpu].cpu_ns, after->vcpus[cpu].cpu_ns),
            between(before->vcpus[cpu].delay_ns, after->vcpus[cpu].delay_ns)};
}

/// Host time minus guest time: the smallest difference seen, which is that of the message that travelled fastest.
[[nodiscard]] inline std::int64_t clock_offset(run_evidence const& e) noexcept {
    std::int64_t least = INT64_MAX;
    auto const see = [&](std::int64_t host, std::uint64_t guest) {
        least = std::min(least, host - claimed_time(guest));
    };
    if (e.scenario_start)
        see(e.at_start.host_ns, e.scenario_start->guest_ns);
    if (e.scenario_end)
        see(e.at_end.host_ns, e.scenario_end->guest_ns);
    for (auto const& p : e.progress)
        see(p.host_ns, p.guest_ns);
    return least == INT64_MAX ? 0 : least;
}

/// Time by which the guest's signs of life between guest times `from` and `to` came later than every `period` ns.
[[nodiscard]] inline std::int64_t stalled_between(run_evidence const& e, std::uint64_t from, std::uint64_t to,
                                                  std::uint64_t period) noexcept {
    if (!e.scenario_start || to <= from)
        return 0;
    std::uint64_t last = e.scenario_start->guest_ns, late = 0;
    auto const step = [&](std::uint64_t at) {
        auto const begin = std::max(last + period + period / 4, from);
        auto const end = std::min(at, to);
        if (at > last && end > begin)
            late += end - begin;
        last = std::max(last, at);
    };
    for (auto const& p : e.progress)
        step(p.guest_ns);
    if (e.scenario_end)
        step(e.scenario_end->guest_ns);
    return static_cast<std::int64_t>(std::min<std::uint64_t>(late, to - from));
}

/// Nominal time between progress messages, for the judge; the agent's executor keeps to it.
inline constexpr std::uint64_t progress_period = 500'000'000;

/// The delivery over the scenario.
[[nodiscard]] inline delivery measure_delivery(plan const& p, run_evidence const& e) noexcept {
    delivery out;
    auto const cpus = static_cast<double>(std::max<std::uint64_t>(1, cpus_of(p.topology)));
    if (p.host_cpus != 0)
        out.declared = std::max(1.0, cpus / p.host_cpus);
    if (e.scenario_start && e.scenario_end && e.scenario_end->guest_ns > e.scenario_start->guest_ns) {
        out.stalled_ns = stalled_between(e, e.scenario_start->guest_ns, e.scenario_end->guest_ns, progress_period);
        out.stall = static_cast<double>(out.stalled_ns) /
                    static_cast<double>(e.scenario_end->guest_ns - e.scenario_start->guest_ns);
    }
    out.wall_ns = e.at_end.host_ns - e.at_start.host_ns;
    auto const n = std::min(e.at_start.vcpus.size(), e.at_end.vcpus.size());
    if (n == 0 || out.wall_ns <= 0)
        return out;
    std::size_t busy = 0;
    for (std::size_t i = 0; i < n; ++i) {
        auto const cpu = e.at_end.vcpus[i].cpu_ns - e.at_start.vcpus[i].cpu_ns;
        auto const delay = e.at_end.vcpus[i].delay_ns - e.at_start.vcpus[i].delay_ns;
        if (cpu < 0 || delay < 0)
            return out;
        out.cpu_ns += cpu;
        out.delay_ns += delay;
        busy += (cpu + delay) > out.wall_ns / 2 ? 1 : 0;
    }
    out.known = out.cpu_ns > 0;
    if (!out.known)
        return out;
    auto const wanted = static_cast<double>(out.cpu_ns + out.delay_ns);
    auto const got = static_cast<double>(out.cpu_ns) / wanted;
    auto const host = p.host_cpus != 0 ? static_cast<double>(p.host_cpus) : cpus;
    auto const expected = std::min(1.0, host / static_cast<double>(std::max<std::size_t>(busy, 1)));
    out.service = got / expected;
    return out;
}

/// How much CPU service a vCPU was offered between host times `from` and `to`: the time minus its wait for a CPU.
[[nodiscard]] inline std::int64_t offered_between(run_evidence const& e, std::size_t cpu, std::int64_t from,
                                                  std::int64_t to) {
    auto const delay = vcpu_at(e, cpu, to).delay_ns - vcpu_at(e, cpu, from).delay_ns;
    return std::max<std::int64_t>(0, to - from - std::max<std::int64_t>(0, delay));
}

/// A deadline in delivered service, for waits during which a starved machine must not be blamed (boot, attach).
///
/// Service between two moments is the wall time minus the longest wait for a CPU that any single vCPU had: an idle or hung
/// guest uses its deadline up at the speed of the wall clock, a starved one more slowly. `give_up_ns` of wall time ends it
/// in any case.
struct service_deadline {
    std::int64_t budget_ns = 0;  ///< Service granted.
    std::int64_t give_up_ns = 0; ///< Wall time granted at most; 0 = no such limit.

    /// Service that was offered from `begin` to `now`.
    [[nodiscard]] static std::int64_t service(delivery_sample const& begin, delivery_sample const& now) noexcept {
        std::int64_t worst = 0;
        for (std::size_t i = 0; i < std::min(begin.vcpus.size(), now.vcpus.size()); ++i)
            worst = std::max(worst, now.vcpus[i].delay_ns - begin.vcpus[i].delay_ns);
        return std::max<std::int64_t>(0, now.host_ns - begin.host_ns - worst);
    }
    /// Whether the deadline has passed.
    [[nodiscard]] bool passed(delivery_sample const& begin, delivery_sample const& now) const noexcept {
        return service(begin, now) > budget_ns || (give_up_ns != 0 && now.host_ns - begin.host_ns > give_up_ns);
    }
};

} // namespace ktstr
