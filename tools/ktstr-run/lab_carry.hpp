// SPDX-License-Identifier: Apache-2.0
/// \file
/// A command line for this machine, rewritten for the inside of the lab: every path in it travels by the option table.
#pragma once

#include "ktstr-run/command.hpp"
#include "ktstr/base/units.hpp"

#include <string>
#include <vector>

namespace ktstr::tool {

/// What the rewriting needs to know beside the command line itself. All paths are absolute paths of this machine.
struct carry_context {
    std::string lab_program;   ///< ktstr-lab.
    std::string own_program;   ///< This binary, which the lab runs too.
    std::string folder;        ///< Current folder: relative paths are meant from here.
    std::string kernel_folder; ///< The chosen kernel's folder in the store; empty if the command boots none.
    std::string initramfs;     ///< The packed base for the guest; empty to let the lab make it.
    std::string lab_option;    ///< How the lab treats standard input: "-t" a terminal, "-i" pass it on, "-n" nothing.
    nanos limit{};             ///< When the lab ends the command at the latest; 0: its own limit.
    /// Options that the command inside gets beside the user's (name, argument of this machine); they travel by the table
    /// too and win over the user's.
    std::vector<std::pair<std::string, std::string>> resolved;
};

/// The command line of ktstr-lab that runs `call` inside: every in-path given to it by `--in`, every out-path by `--out`.
/// An in-path that is not there is a problem with exit code 2.
[[nodiscard]] outcome<std::vector<std::string>> carry_into_lab(invocation const& call, carry_context const& context);

} // namespace ktstr::tool
