// SPDX-License-Identifier: Apache-2.0
/// \file
/// The command line of ktstr-lab.
#pragma once

#include "ktstr-lab/machine.hpp"
#include "ktstr-lab/transfer.hpp"
#include "ktstr-lab/waiting.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ktstr::lab {

/// Everything that can be said to ktstr-lab; which fields count depends on the command.
struct cli_options {
    std::string command, name;
    machine_config config;
    std::int64_t limit_ns = -1; ///< -1 = the command's default, 0 = none
    std::int64_t idle_ns = 0; ///< start: stop after so long without a caller; 0 = never
    std::vector<std::string> in, out; ///< HOST[:LAB] as given
    std::vector<std::string> env;
    std::vector<std::pair<std::string, std::string>> forwards; ///< HOSTSOCK, LABSOCK
    std::string cwd = "/in", console;
    bool stdin_wanted = true, stdin_even_tty = false, tty = false, json = false, refresh = false, verify = false, help = false;
    std::vector<std::string> argv;
};

/// Reads the command line; code 2 names what is wrong with it.
[[nodiscard]] outcome<cli_options> parse_options(std::span<char*> arguments);

/// The help of one command, or of the program for "".
[[nodiscard]] std::string help_text(std::string_view command);

} // namespace ktstr::lab
