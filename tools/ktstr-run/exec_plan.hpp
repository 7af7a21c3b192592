// SPDX-License-Identifier: Apache-2.0
/// \file
/// What a guest needs to run a program of this machine: the plan for the agent and the files to bring along.
#pragma once

#include "ktstr-run/boot_options.hpp"
#include "ktstr/scenario/plan.hpp"
#include "support/problem.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace ktstr::tool {

/// A plan and the files it relies on; their libraries come along by themselves.
struct program_plan {
    plan what;
    std::vector<include_file> files;
};

/// For `exec -- words`: the first word is looked up as a shell would. When an initramfs is given, the program is expected
/// in it: `found` says how the machine around the lab found it, if it did.
[[nodiscard]] outcome<program_plan> plan_exec(std::vector<std::string> const& words, boot_options const& options,
                                              std::vector<std::string> const& found = {});

/// For `shell`: busybox where this machine has it, else sh and the usual small programs; with an initramfs, what `found`
/// says, or whatever shell is in it.
[[nodiscard]] outcome<program_plan> plan_shell(boot_options const& options, std::vector<std::string> const& found = {});

/// The program that `name` means: itself when it has a slash, else the first executable file of that name in `path`
/// (a PATH). Empty when there is none.
[[nodiscard]] std::string find_program(std::string_view name, std::string_view path);

} // namespace ktstr::tool
