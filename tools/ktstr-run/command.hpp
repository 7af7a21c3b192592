// SPDX-License-Identifier: Apache-2.0
/// \file
/// What a command gets (the parsed command line) and gives (its exit code, or the problem to print).
#pragma once

#include "support/problem.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ktstr::tool {

/// A command line after parsing against the option table: every option in it belongs to the command.
struct invocation {
    std::string program;                                      ///< argv[0] as given.
    std::string command;                                      ///< "run", "kernel", ...
    std::vector<std::string> words;                           ///< Arguments without a dash, in order.
    std::vector<std::string> tail;                            ///< Everything after "--".
    std::vector<std::pair<std::string, std::string>> options; ///< Long name and argument ("" for a flag), in order.

    [[nodiscard]] bool has(std::string_view name) const { return value(name).has_value(); }
    /// The argument given last for `name`.
    [[nodiscard]] std::optional<std::string> value(std::string_view name) const {
        for (auto at = options.rbegin(); at != options.rend(); ++at)
            if (at->first == name)
                return at->second;
        return std::nullopt;
    }
    /// The argument given last for `name`, or `otherwise`.
    [[nodiscard]] std::string value_or(std::string_view name, std::string_view otherwise) const {
        auto given = value(name);
        return given ? *given : std::string(otherwise);
    }
    /// All arguments given for `name`, in order.
    [[nodiscard]] std::vector<std::string> values(std::string_view name) const {
        std::vector<std::string> out;
        for (auto const& [option, argument] : options)
            if (option == name)
                out.push_back(argument);
        return out;
    }
};

/// The commands, one in each file `<name>_command.cpp`. A problem is printed by the caller.
[[nodiscard]] outcome<exit_code> run_command(invocation const&);
[[nodiscard]] outcome<exit_code> shell_command(invocation const&);
[[nodiscard]] outcome<exit_code> exec_command(invocation const&);
[[nodiscard]] outcome<exit_code> doctor_command(invocation const&);
[[nodiscard]] outcome<exit_code> kernel_command(invocation const&);
[[nodiscard]] outcome<exit_code> topology_command(invocation const&);
[[nodiscard]] outcome<exit_code> presets_command(invocation const&);
[[nodiscard]] outcome<exit_code> snapshot_command(invocation const&);
[[nodiscard]] outcome<exit_code> freeze_command(invocation const&);
[[nodiscard]] outcome<exit_code> thaw_command(invocation const&);
[[nodiscard]] outcome<exit_code> version_command(invocation const&);

} // namespace ktstr::tool
