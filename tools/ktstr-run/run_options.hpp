// SPDX-License-Identifier: Apache-2.0
/// \file
/// The options that only `run` has, as checked values with the plan that follows from them.
#pragma once

#include "ktstr-run/boot_options.hpp"
#include "ktstr-run/command.hpp"
#include "ktstr-run/snapshot_wish.hpp"
#include "ktstr/scenario/plan.hpp"

#include <cstdint>
#include <string>

namespace ktstr::tool {

/// What `run` is told beside the machine.
struct run_options {
    std::string json;     ///< Path, "-", or empty.
    std::string results;  ///< Folder, or empty for a new one.
    std::string shown_as; ///< How the results folder is called in what the user reads; empty: as it is.
    std::string lab_host; ///< The machine around the lab, told to the inside of it.
    std::uint64_t seed = 0;
    bool seed_given = false;
    bool strict = false;
    bool keep = false;
    plan what;
    snapshot_wish snapshots;
};

/// Reads and checks them; every failure has exit code 2. Without `--seed` one is drawn.
[[nodiscard]] outcome<run_options> read_run_options(invocation const& call, boot_options const& boot);

} // namespace ktstr::tool
