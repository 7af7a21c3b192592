// SPDX-License-Identifier: Apache-2.0
/// \file
/// The options that every booting command has, as checked values; whatever is wrong with them is found here.
#pragma once

#include "ktstr-run/command.hpp"
#include "ktstr-run/machine_choice.hpp"
#include "ktstr-run/run_machine_choices.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/topo/numa.hpp"
#include "ktstr/topo/topology.hpp"
#include "support/problem.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ktstr::tool {

/// A file of this machine and its place in the guest.
struct include_file {
    std::string file; ///< Absolute path here.
    std::string path; ///< Absolute path there.
};

/// What the command line says about the machine.
struct boot_options {
    std::string kernel; ///< As given; empty: the newest in the store.
    topology shape{};
    std::string shape_name; ///< As given.
    numa_layout layout;
    std::optional<bytes> memory; ///< Empty: by the rule. The layout's sum where it names sizes.
    machine_wish machine = machine_wish::automatic;
    nanos wall_limit{};
    std::string cmdline; ///< The user's words only.
    bool kaslr = false;
    vendor_choice vendor = vendor_choice::host;
    std::uint32_t apic_stride = 1;
    reset_choice reset = reset_choice::keyboard;
    transport_wish transport = transport_wish::automatic;
    std::vector<include_file> include;
    std::string initramfs; ///< Absolute path; empty: ours.
    std::string dmesg;     ///< Absolute path; empty: no copy.
    bool console = false;
    bool quiet = false;
};

/// Reads and checks them; every failure has exit code 2.
[[nodiscard]] outcome<boot_options> read_boot_options(invocation const& call);

/// A machine's shape with its memory layout.
struct named_shape {
    topology shape{};
    numa_layout layout;
};
/// What `text` names: a preset or `NnNlNcNt`.
[[nodiscard]] outcome<named_shape> read_topology(std::string_view text);
/// A whole number from `least` to `most` given to `option`.
[[nodiscard]] outcome<std::uint64_t> read_number(std::string_view option, std::string_view text, std::uint64_t least,
                                                 std::uint64_t most);
/// A time above zero given to `option`.
[[nodiscard]] outcome<nanos> read_time(std::string_view option, std::string_view text);

/// `path` as an absolute path, by the current folder.
[[nodiscard]] std::string absolute_path(std::string_view path);

} // namespace ktstr::tool
