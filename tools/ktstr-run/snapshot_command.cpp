// SPDX-License-Identifier: Apache-2.0
/// \file
/// `ktstr-run snapshot show FILE [--json]` and `ktstr-run snapshot diff A B [--json]`.
#include "ktstr-run/command.hpp"
#include "ktstr-run/snapshot_show.hpp"
#include "support/near_miss.hpp"

#include <array>
#include <cstdio>
#include <fmt/format.h>
#include <utility>

namespace ktstr::tool {

outcome<exit_code> snapshot_command(invocation const& call) {
    constexpr std::array<std::string_view, 2> verbs{"show", "diff"};
    auto const verb = call.words.empty() ? std::string() : call.words[0];
    if (verb != "show" && verb != "diff")
        return problem_of(exit_code::bad_input,
                          verb.empty() ? "'snapshot' needs to be told what to do" : fmt::format("'snapshot' cannot '{}'", verb),
                          "ktstr-run snapshot",
                          verb.empty() ? "write: ktstr-run snapshot show FILE, or: ktstr-run snapshot diff A B" : hint(verb, verbs));
    std::size_t const wanted = verb == "show" ? 1 : 2;
    if (call.words.size() - 1 != wanted)
        return problem_of(exit_code::bad_input,
                          fmt::format("'snapshot {}' takes {}, not {}", verb, wanted == 1 ? "one file" : "two files", call.words.size() - 1),
                          "ktstr-run snapshot", wanted == 1 ? "write: ktstr-run snapshot show FILE" : "write: ktstr-run snapshot diff A B");
    auto first = snapshot_file::open(call.words[1]);
    if (!first)
        return std::unexpected(std::move(first).error());
    if (verb == "show") {
        std::fputs((call.has("json") ? snapshot_json(*first) : snapshot_text(*first)).c_str(), stdout);
        return exit_code::pass;
    }
    auto second = snapshot_file::open(call.words[2]);
    if (!second)
        return std::unexpected(std::move(second).error());
    if (first->header().arch != second->header().arch)
        return problem_of(exit_code::bad_input, "the snapshots are of different architectures", call.words[2],
                          "compare snapshots of one machine");
    auto const changes = compare_snapshots(*first, *second);
    if (!changes)
        return std::unexpected(problem_from(changes.error(), exit_code::bad_input, "cannot read the memory of a snapshot", call.words[1]));
    std::fputs((call.has("json") ? diff_json(*first, *second, *changes) : diff_text(*first, *second, *changes)).c_str(), stdout);
    return exit_code::pass;
}

} // namespace ktstr::tool
