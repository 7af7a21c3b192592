// SPDX-License-Identifier: Apache-2.0
/// \file
/// The scenarios that come with the program, resolved for a machine of any shape.
#pragma once

#include "ktstr/scenario/plan.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace ktstr {

/// A scenario's name and what it is for, in one line each.
struct scenario_info {
    std::string_view name;
    std::string_view about;
};

/// Every builtin scenario, in the order shown to users.
inline constexpr std::array<scenario_info, 3> builtin_scenarios{{
    {"steady", "two cgroups of spinning workers share all CPUs; every worker must get its share"},
    {"oversubscribed", "four workers a CPU: one cgroup spins, the other spins and yields; nobody may be starved"},
    {"cpuset-split", "two cgroups spin on disjoint halves of the machine and must stay there"},
}};

[[nodiscard]] constexpr std::span<scenario_info const> scenarios() noexcept { return builtin_scenarios; }

/// What a user may change about a builtin scenario. 0 means "the scenario's own choice".
struct scenario_options {
    std::uint32_t workers = 0;     ///< Workers a cgroup.
    std::uint64_t duration_ns = 0; ///< Guest time.
    std::uint64_t seed = 0;
    std::uint32_t host_cpus = 0; ///< CPUs that back the vCPUs.
};

namespace detail {
[[nodiscard]] inline std::vector<std::uint32_t> cpu_range(std::uint32_t from, std::uint32_t to) {
    std::vector<std::uint32_t> out;
    for (auto c = from; c < to; ++c)
        out.push_back(c);
    return out;
}
} // namespace detail

/// The plan of builtin scenario `name` on a machine of shape `machine`.
/// `not_found` for an unknown name; `unsupported` at "scenario.cpus" with the CPUs needed when the machine is too small;
/// `out_of_range` when the options ask for too many workers.
[[nodiscard]] inline result<plan> make_builtin(std::string_view name, topology_plan const& machine,
                                               scenario_options const& options = {}) {
    auto const cpus64 = cpus_of(machine);
    if (cpus64 == 0 || cpus64 > max_plan_cpus)
        return fail(errc::out_of_range, "scenario.machine", cpus64);
    auto const cpus = static_cast<std::uint32_t>(cpus64);

    plan out;
    out.scenario = name;
    out.seed = options.seed;
    out.topology = machine;
    out.host_cpus = options.host_cpus;
    if (options.duration_ns != 0)
        out.duration_ns = options.duration_ns;
    auto const workers = [&](std::uint32_t own) { return options.workers != 0 ? options.workers : own; };

    if (name == "steady") {
        out.cgroups = {{.name = "cg_0", .workers = workers(cpus)}, {.name = "cg_1", .workers = workers(cpus)}};
    } else if (name == "oversubscribed") {
        out.cgroups = {{.name = "cg_0", .workers = workers(2 * cpus)},
                       {.name = "cg_1", .workers = workers(2 * cpus), .work = work_type::mixed}};
    } else if (name == "cpuset-split") {
        if (cpus < 2)
            return fail(errc::unsupported, "scenario.cpus", 2);
        auto const half = cpus / 2;
        out.cgroups = {{.name = "cg_0", .cpus = detail::cpu_range(0, half), .workers = workers(2 * half)},
                       {.name = "cg_1", .cpus = detail::cpu_range(half, cpus), .workers = workers(2 * (cpus - half))}};
    } else {
        return fail(errc::not_found, "scenario.name");
    }
    KTSTR_CHECK(validate(out));
    return out;
}

} // namespace ktstr
