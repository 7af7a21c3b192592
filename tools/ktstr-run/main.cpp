// SPDX-License-Identifier: Apache-2.0
/// \file
/// The entry of the one binary: pid 1 of a guest is the agent, everything else is the host's tool.
#include "ktstr-run/command.hpp"
#include "ktstr-run/option_table.hpp"
#include "ktstr-run/options.hpp"
#include "ktstr/agent/agent.hpp"
#include "support/near_miss.hpp"

#include <cstdio>
#include <span>
#include <unistd.h>

namespace ktstr::tool {
namespace {

using command_function = outcome<exit_code> (*)(invocation const&);

struct command_entry {
    std::string_view name;
    command_function function;
};

outcome<exit_code> help_command(invocation const& call) {
    if (call.words.empty()) {
        std::fputs(help_text().c_str(), stdout);
        return exit_code::pass;
    }
    if (find_command(call.words[0]) == nullptr) {
        std::vector<std::string_view> names;
        for (auto const& row : command_rows)
            names.push_back(row.name);
        return problem_of(exit_code::bad_input, "unknown command '" + call.words[0] + "'", "",
                          hint(call.words[0], names));
    }
    std::fputs(help_text(call.words[0]).c_str(), stdout);
    return exit_code::pass;
}

constexpr command_entry entries[] = {
    {"run", run_command},         {"shell", shell_command},     {"exec", exec_command},
    {"doctor", doctor_command},   {"kernel", kernel_command},   {"topology", topology_command},
    {"presets", presets_command}, {"version", version_command}, {"help", help_command},
    {"snapshot", snapshot_command}, {"freeze", freeze_command},   {"thaw", thaw_command},
};

int tool_main(int argc, char const* const* argv) {
    auto const arguments = std::span(argv, static_cast<std::size_t>(argc)).subspan(argc > 0 ? 1 : 0);
    auto const call = parse_command_line(argc > 0 ? argv[0] : "ktstr-run", arguments);
    auto answer = outcome<exit_code>(exit_code::pass);
    if (!call)
        answer = std::unexpected(call.error());
    else if (call->has("help"))
        std::fputs(help_text(call->command).c_str(), stdout);
    else
        for (auto const& entry : entries)
            if (entry.name == call->command)
                answer = entry.function(*call);
    if (!answer) {
        print(answer.error());
        return static_cast<int>(answer.error().code);
    }
    if (std::fflush(stdout) != 0) {
        print({exit_code::harness, "cannot write to standard output", "", "see whether the disk is full"});
        return static_cast<int>(exit_code::harness);
    }
    return static_cast<int>(*answer);
}

} // namespace
} // namespace ktstr::tool

int main(int argc, char** argv) {
    if (::getpid() == 1)
        return ktstr::agent::agent_main();
    return ktstr::tool::tool_main(argc, argv);
}
