// SPDX-License-Identifier: Apache-2.0
/// \file
/// The only file that names Boost.Program_options.
#include "ktstr-run/options.hpp"

#include "ktstr-run/option_table.hpp"
#include "support/near_miss.hpp"

#include <algorithm>
#include <boost/program_options.hpp>
#include <fmt/format.h>
#include <string>
#include <vector>

namespace ktstr::tool {
namespace {

namespace po = boost::program_options;

std::vector<std::string_view> names_for(std::uint32_t bit) {
    std::vector<std::string_view> out;
    for (auto const& row : option_rows)
        if ((row.commands & bit) != 0 && !row.about.empty())
            out.push_back(row.name);
    return out;
}

po::options_description describe_options(std::uint32_t bit) {
    po::options_description out;
    for (auto const& row : option_rows) {
        if ((row.commands & bit) == 0)
            continue;
        std::string const name(row.name);
        if (row.argument.empty())
            out.add_options()(name.c_str(), "");
        else
            out.add_options()(name.c_str(), po::value<std::vector<std::string>>(), "");
    }
    return out;
}

std::unexpected<problem> usage(std::string what, command_row const& command, std::string remedy = {}) {
    if (remedy.empty())
        remedy = fmt::format("see 'ktstr-run {} --help'", command.name);
    return problem_of(exit_code::bad_input, std::move(what), fmt::format("command '{}'", command.name),
                      std::move(remedy));
}

std::string bare(std::string name) {
    while (name.starts_with('-'))
        name.erase(0, 1);
    return name.substr(0, name.find('='));
}

outcome<invocation> parse_options(command_row const& command, std::vector<std::string> const& arguments) {
    invocation out;
    out.command = command.name;
    auto const known = names_for(command.bit);
    try {
        namespace style = po::command_line_style;
        constexpr int only_long = style::allow_long | style::long_allow_adjacent | style::long_allow_next;
        auto const options = describe_options(command.bit);
        auto const parsed = po::command_line_parser(arguments).options(options).style(only_long).run();
        for (auto const& option : parsed.options) {
            if (option.position_key >= 0 || option.string_key.empty()) {
                out.words.insert(out.words.end(), option.value.begin(), option.value.end());
                continue;
            }
            auto const* row = find_option(option.string_key, command.bit);
            if (row != nullptr && !row->repeats && out.has(option.string_key))
                return usage(fmt::format("option --{} is given twice", option.string_key), command, "give it once");
            out.options.emplace_back(option.string_key, option.value.empty() ? std::string() : option.value.front());
        }
    } catch (po::unknown_option const& e) {
        auto const name = bare(e.get_option_name());
        return usage(fmt::format("unknown option '--{}'", name), command, hint(name, known));
    } catch (po::invalid_command_line_syntax const& e) {
        auto const name = bare(e.get_option_name());
        auto const* row = find_option(name, command.bit);
        if (row != nullptr && row->argument.empty())
            return usage(fmt::format("option --{} takes no argument", name), command);
        return usage(fmt::format("option --{} needs an argument{}", name,
                                 row == nullptr ? std::string() : fmt::format(": {}", row->argument)),
                     command, row == nullptr ? std::string() : std::string(row->about));
    } catch (po::error const& e) {
        return usage(e.what(), command);
    }
    for (auto const& word : out.words)
        if (word.size() > 1 && word[0] == '-')
            return usage(fmt::format("unknown option '{}'", word), command, hint(bare(word), known));
    return out;
}

std::string wrapped(std::string_view text, std::size_t indent, std::size_t width) {
    std::string out;
    std::size_t column = indent;
    while (!text.empty()) {
        auto const end = std::min(text.find(' '), text.size());
        auto const word = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (column > indent && column + 1 + word.size() > width) {
            out += '\n';
            out.append(indent, ' ');
            column = indent;
        }
        if (column > indent) {
            out += ' ';
            ++column;
        }
        out += word;
        column += word.size();
    }
    return out;
}

} // namespace

outcome<invocation> parse_command_line(std::string_view program, std::span<char const* const> arguments) {
    std::vector<std::string> before;
    std::vector<std::string> tail;
    bool cut = false;
    for (std::string const argument : arguments) {
        if (!cut && argument == "--")
            cut = true;
        else
            (cut ? tail : before).push_back(argument);
    }
    std::vector<std::string_view> commands;
    for (auto const& row : command_rows)
        commands.push_back(row.name);

    invocation out;
    if (before.empty() || before[0] == "--help" || before[0] == "-h") {
        out.command = "help";
        if (before.empty() && !cut)
            return problem_of(exit_code::bad_input, "no command given", "", "see 'ktstr-run help'");
        if (before.empty())
            return problem_of(exit_code::bad_input, "no command before '--'", "", "write 'ktstr-run exec -- CMD'");
    } else if (before[0] == "--version") {
        out.command = "version";
    } else {
        auto const* command = find_command(before[0]);
        if (command == nullptr)
            return problem_of(exit_code::bad_input, fmt::format("unknown command '{}'", before[0]), "",
                              hint(before[0], commands));
        auto parsed = parse_options(*command, {before.begin() + 1, before.end()});
        if (!parsed)
            return parsed;
        out = *std::move(parsed);
        if (cut && command->bit != on::exec)
            return usage("arguments after '--' have no meaning here", *command,
                         "only 'exec' takes a command after '--'");
    }
    out.program = program;
    out.tail = std::move(tail);
    return out;
}

std::string help_text() {
    std::string out = "usage: ktstr-run COMMAND [OPTION...]\n\n"
                      "Boots a Linux kernel in a virtual machine and judges its scheduler.\n\ncommands:\n";
    for (auto const& row : command_rows)
        out += fmt::format("  {:<10}{}\n", row.name, wrapped(row.about, 12, 80));
    out += "\n'ktstr-run COMMAND --help' lists the options of a command.\n"
           "exit codes: 0 pass, 1 fail, 2 bad input, 3 inconclusive, 77 requirement missing, 99 our or the host's "
           "failure,\n"
           "            124 wall limit or guest hang, 128+n signal n, 255 guest panic\n";
    return out;
}

std::string help_text(std::string_view command) {
    auto const& row = *find_command(command);
    std::string out =
        fmt::format("usage: ktstr-run {}{} {}\n\n{}\n\noptions:\n", row.name,
                    row.bit == on::help || row.bit == on::version ? "" : " [OPTION...]", row.words, row.about);
    for (auto const& option : option_rows) {
        if ((option.commands & row.bit) == 0 || option.about.empty())
            continue;
        auto head = fmt::format("  --{}{}{}", option.name, option.argument.empty() ? "" : " ", option.argument);
        head.resize(std::max<std::size_t>(head.size() + 1, 26), ' ');
        auto about = std::string(option.about);
        if (!option.standard.empty())
            about += fmt::format(" [{}]", option.standard);
        if (head.size() > 26)
            head += '\n' + std::string(26, ' ');
        out += head + wrapped(about, 26, 100) + '\n';
    }
    return out;
}

} // namespace ktstr::tool
