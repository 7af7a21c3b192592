// SPDX-License-Identifier: Apache-2.0
#include "ktstr-lab/options.hpp"
#include "support/near_miss.hpp"
#include "support/quantity.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace ktstr::lab {

namespace {
enum class opt {
    name, smp, memory, time, limit, idle, in, out, inject, env, cwd, forward, console, no_stdin, interactive, tty, json, refresh,
    verify, help
};

struct option_row {
    std::string_view name;
    char letter;
    opt what;
    bool takes_value;
    std::string_view commands; ///< one letter a command: r run, s start, e exec, p ps, P prepare, x stop, l log
    std::string_view help;
};

constexpr std::array rows{
    option_row{"--name", 0, opt::name, true, "rs", "NAME  reachable by exec, ps, log and stop under this name"},
    option_row{"--smp", 0, opt::smp, true, "rsP", "N  CPUs of the lab machine (default 1: the steadiest)"},
    option_row{"--memory", 0, opt::memory, true, "rsP", "SIZE  its memory, used as it is touched (default 4G)"},
    option_row{"--time", 0, opt::time, true, "rsP", "real|virtual  virtual: 2 ns of lab time an instruction, repeatable, 1 CPU"},
    option_row{"--limit", 0, opt::limit, true, "rse", "SECONDS  end the command after that, exit 124 (run: 600; 0 = none)"},
    option_row{"--idle", 0, opt::idle, true, "s", "SECONDS  stop the lab after so long without use (default: never)"},
    option_row{"--in", 0, opt::in, true, "re", "HOST[:LAB]  file or folder that goes in (default LAB: /in/NAME)"},
    option_row{"--out", 0, opt::out, true, "re", "HOST[:LAB]  file or folder that comes out (default LAB: /out)"},
    option_row{"--inject", 0, opt::inject, true, "re", "PATH  file that goes in under the same absolute path"},
    option_row{"--env", 0, opt::env, true, "re", "KEY=VALUE  environment of the command"},
    option_row{"--cwd", 0, opt::cwd, true, "re", "FOLDER  where the command starts (default /in)"},
    option_row{"--forward", 0, opt::forward, true, "rs", "HOSTSOCK:LABSOCK  a unix socket of the lab, reachable out here"},
    option_row{"--console", 0, opt::console, true, "rs", "FILE  write the lab kernel's console there when it ends"},
    option_row{"--no-stdin", 'n', opt::no_stdin, false, "re", " do not pass our stdin on"},
    option_row{"--interactive", 'i', opt::interactive, false, "re", " pass our stdin on even when it is a terminal"},
    option_row{"--tty", 't', opt::tty, false, "re", " give the command a terminal (implies -i)"},
    option_row{"--json", 0, opt::json, false, "p", " machine-readable"},
    option_row{"--refresh", 0, opt::refresh, false, "P", " fetch the newest packages again"},
    option_row{"--verify", 0, opt::verify, false, "P", " compare all checksums"},
    option_row{"--help", 'h', opt::help, false, "rsepPxlm", " this text"},
};

struct command_row {
    std::string_view name, usage, about;
    char letter;
    bool takes_name, takes_command;
};
constexpr std::array commands{
    command_row{"run", "run [OPTIONS] -- CMD ARGS...", "a fresh lab for one command", 'r', false, true},
    command_row{"start", "start --name NAME [OPTIONS]", "a lab that stays, in the background", 's', false, false},
    command_row{"exec", "exec NAME [OPTIONS] -- CMD ARGS...", "one more command in a running lab", 'e', true, true},
    command_row{"ps", "ps [--json]", "the labs that run", 'p', false, false},
    command_row{"log", "log NAME", "the kernel console of a running lab", 'l', true, false},
    command_row{"stop", "stop NAME", "end a lab", 'x', true, false},
    command_row{"monitor", "monitor NAME -- LINE", "a line for the emulator's own monitor", 'm', true, true},
    command_row{"prepare", "prepare [OPTIONS]", "fetch, build and snapshot now, so that the next run starts at once", 'P', false, false},
    command_row{"version", "version", "what this is made of", 'v', false, false},
};

std::unexpected<problem> wrong(std::string what, std::string where = {}, std::string remedy = "see 'ktstr-lab --help'") {
    return problem_of(exit_code::bad_input, std::move(what), std::move(where), std::move(remedy));
}

outcome<std::int64_t> seconds(std::string_view text, std::string_view option) {
    double value = 0;
    auto const [end, bad] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (bad == std::errc{} && (end == text.data() + text.size() || std::string_view(end) == "s") && value >= 0 && value < 1e8)
        return static_cast<std::int64_t>(value * 1e9);
    if (auto const time = tool::parse_time(text))
        return time->raw;
    return wrong("not a time: " + std::string(text), std::string(option), "write seconds (90) or a unit (2m)");
}

outcome<> apply(cli_options& out, opt what, std::string_view value) {
    auto const pair_of = [&](char by) -> outcome<std::pair<std::string, std::string>> {
        auto const at = value.find(by);
        if (at == 0 || at == std::string_view::npos)
            return wrong("not of the form A" + std::string(1, by) + "B: " + std::string(value));
        return std::pair{std::string(value.substr(0, at)), std::string(value.substr(at + 1))};
    };
    switch (what) {
    case opt::name: out.name = value; return {};
    case opt::smp: {
        auto const [end, bad] = std::from_chars(value.data(), value.data() + value.size(), out.config.cpus);
        if (bad != std::errc{} || end != value.data() + value.size() || out.config.cpus == 0 || out.config.cpus > 64)
            return wrong("not a number of CPUs: " + std::string(value), "--smp", "write 1 to 64");
        return {};
    }
    case opt::memory: {
        auto const size = tool::parse_size(value);
        if (!size)
            return wrong("not a size: " + std::string(value), "--memory", "write a number and a unit: 512M, 4G");
        out.config.memory_mib = size->raw >> 20;
        if (out.config.memory_mib < 512 || out.config.memory_mib > (1U << 20))
            return wrong("a lab needs between 512M and 1T of memory", "--memory " + std::string(value));
        return {};
    }
    case opt::time:
        if (value != "real" && value != "virtual")
            return wrong("no such timing: " + std::string(value), "--time", "write real or virtual");
        out.config.virtual_time = value == "virtual";
        return {};
    case opt::limit:
    case opt::idle: {
        auto const time = seconds(value, what == opt::limit ? "--limit" : "--idle");
        if (!time)
            return std::unexpected(time.error());
        (what == opt::limit ? out.limit_ns : out.idle_ns) = *time;
        return {};
    }
    case opt::in: out.in.emplace_back(value); return {};
    case opt::out: out.out.emplace_back(value); return {};
    case opt::inject: {
        if (!value.starts_with('/'))
            return wrong("the path must be absolute: " + std::string(value), "--inject", "or use --in HOST:LAB");
        out.in.push_back(std::string(value) + ':' + std::string(value));
        return {};
    }
    case opt::env: {
        if (auto const both = pair_of('='); !both)
            return std::unexpected(both.error());
        out.env.emplace_back(value);
        return {};
    }
    case opt::cwd: out.cwd = value; return {};
    case opt::forward: {
        auto const both = pair_of(':');
        if (!both)
            return std::unexpected(both.error());
        out.forwards.emplace_back(absolute(both->first), both->second);
        return {};
    }
    case opt::console: out.console = absolute(value); return {};
    case opt::no_stdin: out.stdin_wanted = false; return {};
    case opt::interactive: out.stdin_even_tty = true; return {};
    case opt::tty: out.tty = out.stdin_even_tty = true; return {};
    case opt::json: out.json = true; return {};
    case opt::refresh: out.refresh = true; return {};
    case opt::verify: out.verify = true; return {};
    case opt::help: out.help = true; return {};
    }
    return {};
}
} // namespace

outcome<cli_options> parse_options(std::span<char*> arguments) {
    cli_options out;
    if (arguments.size() < 2)
        return wrong("no command given");
    out.command = arguments[1];
    if (out.command == "--help" || out.command == "-h" || out.command == "help") {
        out.command.clear();
        out.help = true;
        return out;
    }
    if (out.command == "--version")
        out.command = "version";
    auto const command = std::find_if(commands.begin(), commands.end(), [&](auto const& row) { return row.name == out.command; });
    if (command == commands.end()) {
        std::string names;
        for (auto const& row : commands)
            names += (names.empty() ? "" : ", ") + std::string(row.name);
        return wrong("no such command: " + out.command, {}, "the commands are: " + names);
    }
    std::size_t at = 2;
    for (; at < arguments.size(); ++at) {
        std::string_view word = arguments[at];
        if (word == "--") {
            ++at;
            break;
        }
        if (!word.starts_with('-')) {
            if (command->takes_name && out.name.empty()) {
                out.name = word;
                continue;
            }
            if (command->takes_command)
                break; // the command may begin without "--"
            return wrong("unexpected argument: " + std::string(word), "ktstr-lab " + out.command);
        }
        std::string_view value;
        bool has_value = false;
        if (auto const equals = word.find('='); word.starts_with("--") && equals != std::string_view::npos) {
            value = word.substr(equals + 1);
            word = word.substr(0, equals);
            has_value = true;
        }
        auto const row = std::find_if(rows.begin(), rows.end(), [&](auto const& r) {
            return r.commands.find(command->letter) != std::string_view::npos
                   && (r.name == word || (r.letter != 0 && word.size() == 2 && word[1] == r.letter));
        });
        if (row == rows.end())
            return wrong("no such option of '" + out.command + "': " + std::string(word), {},
                         "see 'ktstr-lab " + out.command + " --help'");
        if (row->takes_value && !has_value) {
            if (++at == arguments.size())
                return wrong("a value is missing", std::string(row->name));
            value = arguments[at];
        } else if (!row->takes_value && has_value) {
            return wrong("this option takes no value", std::string(row->name));
        }
        if (auto done = apply(out, row->what, value); !done)
            return std::unexpected(done.error());
    }
    for (; at < arguments.size(); ++at)
        out.argv.emplace_back(arguments[at]);
    if (out.help)
        return out;
    if (command->takes_command && out.argv.empty())
        return wrong("no command to run", "ktstr-lab " + out.command, "end the line with '-- CMD ARGS...'");
    if (!command->takes_command && !out.argv.empty())
        return wrong("unexpected argument: " + out.argv.front(), "ktstr-lab " + out.command);
    if ((command->takes_name || out.command == "start") && out.name.empty())
        return wrong("no name given", "ktstr-lab " + out.command);
    if (out.config.virtual_time && out.config.cpus != 1)
        return wrong("virtual time works with one CPU only", "--smp " + std::to_string(out.config.cpus), "leave --smp out");
    return out;
}

std::string help_text(std::string_view command) {
    std::string out;
    auto const at = std::find_if(commands.begin(), commands.end(), [&](auto const& row) { return row.name == command; });
    if (at == commands.end()) {
        out = "ktstr-lab - an emulated machine with a real nested /dev/kvm, for places without KVM\n\n";
        for (auto const& row : commands)
            out += "  ktstr-lab " + std::string(row.usage) + std::string(row.usage.size() < 36 ? 36 - row.usage.size() : 1, ' ')
                   + std::string(row.about) + '\n';
        out += "\nExit codes: the command's own (128 + n after signal n); 2 wrong input; 77 something is missing here;\n"
               "99 our failure or the host's; 124 time limit; 127 no such command in the lab; 130/143 interrupted.\n"
               "The parts are fetched once (about 50 MB, Debian packages checked by apt) into $XDG_CACHE_HOME/ktstr/lab.\n";
        return out;
    }
    out = "ktstr-lab " + std::string(at->usage) + "\n  " + std::string(at->about) + "\n\n";
    for (auto const& row : rows) {
        if (row.commands.find(at->letter) == std::string_view::npos)
            continue;
        out += "  ";
        if (row.letter != 0)
            out += std::string("-") + row.letter + ", ";
        out += std::string(row.name) + ' ' + std::string(row.help) + '\n';
    }
    return out;
}

} // namespace ktstr::lab
