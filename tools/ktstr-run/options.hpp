// SPDX-License-Identifier: Apache-2.0
/// \file
/// From argv to an `invocation`, and the help texts; the rest of the program never sees how.
#pragma once

#include "ktstr-run/command.hpp"

#include <span>
#include <string>
#include <string_view>

namespace ktstr::tool {

/// Parses a command line (without the program's name) against the option table. An unknown command or option, a missing
/// or a surplus argument are problems with exit code 2 and, where one is near, the name that was probably meant.
[[nodiscard]] outcome<invocation> parse_command_line(std::string_view program, std::span<char const* const> arguments);

/// The list of commands.
[[nodiscard]] std::string help_text();
/// The options of one command; `command` must be in the table.
[[nodiscard]] std::string help_text(std::string_view command);

} // namespace ktstr::tool
