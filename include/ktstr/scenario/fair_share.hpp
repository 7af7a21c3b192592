// SPDX-License-Identifier: Apache-2.0
/// \file
/// What part of the CPU time each worker should get when everybody is treated as the plan says.
#pragma once

#include "ktstr/scenario/plan.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ktstr {

/// A set of cgroups whose CPUs overlap, directly or through others: they compete, and nobody else does with them.
struct share_pool {
    std::vector<std::uint32_t> cpus;    ///< Sorted, unique.
    std::vector<std::uint32_t> cgroups; ///< Indices into the plan.
};

/// The CPUs a cgroup may use: its own list, or all.
[[nodiscard]] inline std::vector<std::uint32_t> allowed_cpus(plan const& p, std::uint32_t cgroup) {
    auto const& own = p.cgroups[cgroup].cpus;
    if (!own.empty())
        return own;
    std::vector<std::uint32_t> all;
    for (std::uint32_t c = 0; c < cpus_of(p.topology) && c < max_plan_cpus; ++c)
        all.push_back(c);
    return all;
}

/// The plan's pools. Every cgroup is in exactly one.
[[nodiscard]] inline std::vector<share_pool> share_pools(plan const& p) {
    std::vector<share_pool> pools;
    for (std::uint32_t g = 0; g < p.cgroups.size(); ++g) {
        share_pool joined{allowed_cpus(p, g), {g}};
        std::erase_if(pools, [&](share_pool const& other) {
            bool const meets = std::any_of(other.cpus.begin(), other.cpus.end(), [&](std::uint32_t c) {
                return std::binary_search(joined.cpus.begin(), joined.cpus.end(), c);
            });
            if (!meets)
                return false;
            joined.cpus.insert(joined.cpus.end(), other.cpus.begin(), other.cpus.end());
            std::sort(joined.cpus.begin(), joined.cpus.end());
            joined.cpus.erase(std::unique(joined.cpus.begin(), joined.cpus.end()), joined.cpus.end());
            joined.cgroups.insert(joined.cgroups.end(), other.cgroups.begin(), other.cgroups.end());
            return true;
        });
        std::sort(joined.cgroups.begin(), joined.cgroups.end());
        pools.push_back(std::move(joined));
    }
    return pools;
}

/// For each cgroup of the plan, how many CPUs' worth of time *one* of its workers should get: weighted max-min over the
/// pool, a worker never more than one CPU, a cgroup never more than its own CPUs. 0 for cgroups without workers. Exact
/// when the CPU sets of a pool are equal; an estimate when they overlap in part.
[[nodiscard]] inline std::vector<double> fair_cpus(plan const& p) {
    std::vector<double> out(p.cgroups.size(), 0.0);
    for (auto const& pool : share_pools(p)) {
        auto left = static_cast<double>(pool.cpus.size());
        auto open = pool.cgroups;
        std::erase_if(open, [&](std::uint32_t g) { return p.cgroups[g].workers == 0; });
        while (!open.empty()) {
            double weights = 0;
            for (auto const g : open)
                weights += p.cgroups[g].weight;
            bool capped = false;
            auto const share_of = [&](std::uint32_t g) { return left * p.cgroups[g].weight / weights; };
            auto const cap_of = [&](std::uint32_t g) {
                return static_cast<double>(std::min<std::size_t>(p.cgroups[g].workers, allowed_cpus(p, g).size()));
            };
            for (auto const g : open)
                if (share_of(g) > cap_of(g)) {
                    out[g] = cap_of(g) / p.cgroups[g].workers;
                    left -= cap_of(g);
                    std::erase(open, g);
                    capped = true;
                    break;
                }
            if (capped)
                continue;
            for (auto const g : open)
                out[g] = share_of(g) / p.cgroups[g].workers;
            break;
        }
    }
    return out;
}

} // namespace ktstr
