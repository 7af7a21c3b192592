// SPDX-License-Identifier: Apache-2.0
/// \file
/// Compares the machine the guest sees with the one the plan asked for.
#pragma once

#include "ktstr/scenario/plan.hpp"
#include "ktstr/wire/messages.hpp"

#include <cstdint>
#include <string>
#include <unistd.h>

namespace ktstr::agent {

/// What the guest sees; mismatches are lines for a person. Without `wanted.check` only the CPUs are counted.
[[nodiscard]] inline wire::topology_report check_topology(topology_plan const& wanted) {
    wire::topology_report out;
    auto const online = ::sysconf(_SC_NPROCESSORS_ONLN);
    out.cpus_seen = online > 0 ? static_cast<std::uint32_t>(online) : 0;
    out.checked = wanted.check;
    if (wanted.check && out.cpus_seen != cpus_of(wanted))
        out.mismatches.push_back("CPUs online: wanted " + std::to_string(cpus_of(wanted)) + ", seen " +
                                 std::to_string(out.cpus_seen));
    return out;
}

} // namespace ktstr::agent
