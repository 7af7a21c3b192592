// SPDX-License-Identifier: Apache-2.0
/// \file
/// Which snapshots a run is asked for, and what became of each: plain values for options, supervisor and report.
#pragma once

#include "ktstr/base/units.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace ktstr::tool {

/// How snapshots are written.
enum class snapshot_format : std::uint8_t {
    core, ///< ELF core: drgn, crash, gdb.
    own,  ///< Our own container, compressed.
};

/// What the command line asks for.
struct snapshot_wish {
    std::vector<nanos> at;      ///< After the start of the scenario.
    std::uint32_t periodic = 0; ///< Spread over the 10 to 90 % of the scenario.
    std::string folder;         ///< Where they go; empty: the results folder.
    std::string shown_as;       ///< How the folder is called in what the user reads; empty: the results folder.
    snapshot_format format = snapshot_format::core;
    std::vector<std::string> watch; ///< SYMBOL[+OFFSET][:SIZE][OP VALUE], as freeze/watch_text.hpp.
    std::string machine_name;   ///< Of the control socket; empty: our process id.
    bool dual = false;          ///< Also one when the guest has been silent for half its limit.
    bool death = false;         ///< One when the guest dies.
    nanos freeze_timeout = seconds(30);

    [[nodiscard]] bool any() const noexcept { return !at.empty() || periodic != 0 || !watch.empty() || death; }
};

/// One snapshot: asked for, taken, and written or lost.
struct snapshot_taken {
    std::string tag;
    std::string cause;
    std::string file;            ///< Its name in the folder; empty when nothing was written.
    std::uint32_t generation = 0;
    nanos requested{};           ///< From the start of the run.
    nanos to_quiesced{};         ///< From the request until guest memory was still.
    nanos to_parked{};           ///< From the request until every vCPU had acknowledged; 0: not all did.
    nanos frozen{};              ///< From the request until the vCPUs were let go.
    nanos written_after{};       ///< From the request until the file had its name; 0: it never got one.
    bool kvm_clock_held = false;
    bool counter_held = false;
    std::uint64_t value = 0;     ///< What a watched place was given, when `value_known`.
    bool value_known = false;
    bool polled = false;         ///< A watchpoint seen by looking at memory on a timer.
    std::uint64_t pages = 0;     ///< Of 4 KiB that hold something.
    std::string degraded;        ///< What is missing and why; empty: whole.
    std::string lost;            ///< Why there is no file; empty: there is one.
};

} // namespace ktstr::tool
