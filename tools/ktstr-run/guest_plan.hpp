// SPDX-License-Identifier: Apache-2.0
/// \file
/// The parts of a plan that every booting command fills in the same way.
#pragma once

#include "ktstr-run/boot_options.hpp"
#include "ktstr/scenario/plan.hpp"

#include <cstdint>
#include <sched.h>

namespace ktstr::tool {

/// CPUs that this process may use: what backs the guest's CPUs.
[[nodiscard]] inline std::uint32_t usable_cpus() noexcept {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    return static_cast<std::uint32_t>(CPU_COUNT(&set));
}

/// The topology as the agent checks it.
[[nodiscard]] inline topology_plan checked_topology(boot_options const& options) {
    return make_topology_plan(options.shape, options.layout);
}

} // namespace ktstr::tool
