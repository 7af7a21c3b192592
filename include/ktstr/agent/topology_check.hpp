// SPDX-License-Identifier: Apache-2.0
/// \file
/// Compares the machine the guest sees with the one the plan asked for.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/scenario/plan.hpp"
#include "ktstr/sys/io.hpp"
#include "ktstr/topo/mismatch.hpp"
#include "ktstr/topo/observed.hpp"
#include "ktstr/wire/messages.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <unistd.h>

namespace ktstr::agent {

/// The most mismatches reported one by one; a last line says how many more there are.
inline constexpr std::size_t reported_mismatches = 32;

/// The files of the running kernel.
struct kernel_files {
    [[nodiscard]] result<std::string> read(char const* path) const { return read_file(path, 1U << 20); }
};
static_assert(FileReader<kernel_files>);

/// What the guest sees below `files`; mismatches are lines for a person. Without `wanted.check` only the CPUs are counted.
/// Errors are those of `observe_topology`.
template <FileReader Files>
[[nodiscard]] result<wire::topology_report> check_topology(topology_plan const& wanted, Files files) {
    wire::topology_report out;
    auto const online = ::sysconf(_SC_NPROCESSORS_ONLN);
    out.cpus_seen = online > 0 ? static_cast<std::uint32_t>(online) : 0;
    out.checked = wanted.check;
    if (!wanted.check)
        return out;
    KTSTR_TRY(auto const seen, observe_topology(files));
    out.cpus_seen = static_cast<std::uint32_t>(seen.cpus.size());
    auto const differences = compare(shape_of(wanted), layout_of(wanted), seen);
    for (auto const& d : differences) {
        if (out.mismatches.size() == reported_mismatches) {
            out.mismatches.push_back("and " + std::to_string(differences.size() - reported_mismatches) + " more");
            break;
        }
        out.mismatches.push_back(to_text(d));
    }
    return out;
}

} // namespace ktstr::agent
