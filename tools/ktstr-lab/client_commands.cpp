// SPDX-License-Identifier: Apache-2.0
// Commands that call a lab somebody else owns: exec, ps, log, stop.
#include "ktstr-lab/commands.hpp"
#include "ktstr-lab/link.hpp"
#include "ktstr-lab/named.hpp"
#include "support/terminal.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <limits>
#include <optional>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace ktstr::lab {

namespace {
/// Asks a lab one thing and waits for its answer.
outcome<outcome_message> ask(signal_gate const& gate, std::string const& name, frame_type what, std::int64_t limit_ns,
                             std::string const& text = {}) {
    auto const socket = call_lab(name);
    if (!socket)
        return std::unexpected(socket.error());
    frame_link link(socket->get());
    if (text.empty())
        link.send(what, 0);
    else if (!link.send(what, 0, outcome_message{0, text}))
        return problem_of(exit_code::bad_input, "this is too long", name);
    std::optional<outcome_message> answer;
    auto const deadline = now_ns() + limit_ns;
    while (!answer) {
        auto const ready = gate.readable(socket->get(), deadline);
        if (!ready)
            return std::unexpected(ready.error());
        auto const alive = link.pump([&](frame const& f) -> result<> {
            if (f.type == frame_type::outcome) {
                KTSTR_TRY(answer, decode_message<outcome_message>(f.payload));
            }
            return {};
        });
        if (!answer && (!*ready || !alive || !*alive))
            return problem_of(exit_code::harness, *ready ? "the lab hung up" : "the lab does not answer", name);
    }
    return *answer;
}
} // namespace

outcome<int> exec_command(cli_options const& options) {
    request_message m;
    m.argv = options.argv;
    m.env = options.env;
    m.cwd = options.cwd;
    m.limit_ns = options.limit_ns > 0 ? static_cast<std::uint64_t>(options.limit_ns) : 0;
    for (auto const& [texts, parse, to] : {std::tuple{&options.in, &parse_in, &m.in}, std::tuple{&options.out, &parse_out, &m.out}})
        for (auto const& each : *texts) {
            auto const path = parse(each);
            if (!path)
                return std::unexpected(path.error());
            to->push_back(path->host + ':' + path->lab);
        }
    auto const gate = signal_gate::open();
    if (!gate)
        return std::unexpected(gate.error());
    auto const socket = call_lab(options.name);
    if (!socket)
        return std::unexpected(socket.error());
    std::optional<tool::raw_terminal> raw;
    winsize size{};
    if (options.tty) {
        m.tty = 1;
        m.rows = 24;
        m.columns = 80;
        if (::ioctl(0, TIOCGWINSZ, &size) == 0 && size.ws_col != 0) {
            m.rows = size.ws_row;
            m.columns = size.ws_col;
        }
        if (auto const* const term = std::getenv("TERM"))
            m.env.insert(m.env.begin(), std::string("TERM=") + term);
        raw.emplace(0);
    }
    unique_fd const null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    bool const with_stdin = options.stdin_wanted && (options.stdin_even_tty || ::isatty(0) != 1);
    int const fds[3] = {with_stdin ? 0 : null.get(), 1, 2};
    auto const payload = encode_message(m);
    if (!payload)
        return problem_of(exit_code::bad_input, "the command line, its environment and its paths exceed 64 KiB");
    if (auto done = send_with_fds(socket->get(), frame_type::request, *payload, fds); !done)
        return std::unexpected(done.error());
    frame_link link(socket->get());
    std::optional<outcome_message> answer;
    while (!answer) {
        pollfd set[2] = {{socket->get(), static_cast<short>(POLLIN | (link.wants_write() ? POLLOUT : 0)), 0}, {gate->fd(), POLLIN, 0}};
        ::poll(set, 2, -1);
        if (set[1].revents != 0) {
            auto const number = gate->take();
            if (number == SIGWINCH) {
                if (::ioctl(0, TIOCGWINSZ, &size) == 0)
                    (void)link.send(frame_type::winsize, 0, winsize_message{size.ws_row, size.ws_col});
            } else if (number != 0) {
                (void)link.send(frame_type::signal, 0, signal_message{static_cast<std::uint32_t>(number)});
            }
        }
        link.flush();
        auto const alive = link.pump([&](frame const& f) -> result<> {
            if (f.type == frame_type::outcome) {
                KTSTR_TRY(answer, decode_message<outcome_message>(f.payload));
            }
            return {};
        });
        if (!answer && (!alive || !*alive))
            return problem_of(exit_code::harness, "the lab ended before the command did", options.name);
    }
    raw.reset();
    std::fputs(answer->text.c_str(), stderr);
    return static_cast<int>(answer->code);
}

namespace {
/// The value of one member of the flat JSON object that a lab describes itself by, without quotes.
std::string member(std::string const& json, std::string const& name) {
    auto const key = '"' + name + "\": ";
    auto const at = json.find(key);
    if (at == std::string::npos)
        return "-";
    auto const from = at + key.size();
    if (json[from] == '"')
        return json.substr(from + 1, json.find('"', from + 1) - from - 1);
    return json.substr(from, json.find_first_of(",}", from) - from);
}
} // namespace

outcome<int> ps_command(cli_options const& options) {
    auto const gate = signal_gate::open();
    if (!gate)
        return std::unexpected(gate.error());
    auto const names = running_labs();
    if (!names)
        return std::unexpected(names.error());
    std::string json = "[";
    if (!options.json && !names->empty())
        std::printf("%-20s %8s %5s %8s %8s %5s %8s\n", "NAME", "PID", "CPUS", "MEMORY", "TIME", "JOBS", "UP");
    for (auto const& each : *names) {
        auto const answer = ask(*gate, each, frame_type::query, 5 * second);
        auto const text = answer ? answer->text : "{\"name\": \"" + each + "\", \"state\": \"starting or stuck\"}";
        json += (json.size() > 1 ? ",\n " : "") + text;
        if (!options.json)
            std::printf("%-20s %8s %5s %7sM %8s %5s %7ss\n", each.c_str(), member(text, "pid").c_str(),
                        member(text, "cpus").c_str(), member(text, "memory_mib").c_str(), member(text, "time").c_str(),
                        member(text, "jobs").c_str(), member(text, "up_seconds").c_str());
    }
    if (options.json)
        std::printf("%s]\n", json.c_str());
    return 0;
}

outcome<int> log_command(cli_options const& options) {
    auto const gate = signal_gate::open();
    if (!gate)
        return std::unexpected(gate.error());
    auto const answer = ask(*gate, options.name, frame_type::console, 5 * second);
    if (!answer)
        return std::unexpected(answer.error());
    std::fputs(answer->text.c_str(), stdout);
    return 0;
}

outcome<int> monitor_command(cli_options const& options) {
    auto const gate = signal_gate::open();
    if (!gate)
        return std::unexpected(gate.error());
    std::string line;
    for (auto const& each : options.argv)
        line += (line.empty() ? "" : " ") + each;
    auto const answer = ask(*gate, options.name, frame_type::monitor, 10 * second, line);
    if (!answer)
        return std::unexpected(answer.error());
    std::fputs(answer->text.c_str(), answer->code == 0 ? stdout : stderr);
    return static_cast<int>(answer->code);
}

outcome<int> stop_command(cli_options const& options) {
    auto const gate = signal_gate::open();
    if (!gate)
        return std::unexpected(gate.error());
    auto const answer = ask(*gate, options.name, frame_type::stop, 10 * second);
    if (!answer)
        return std::unexpected(answer.error());
    // Stopped means gone: wait until the name is free.
    for (auto const deadline = now_ns() + 10 * second; now_ns() < deadline;) {
        auto const names = running_labs();
        if (names && std::find(names->begin(), names->end(), options.name) == names->end())
            return 0;
        if (auto const waited = gate->readable(-1, now_ns() + second / 50); !waited)
            return std::unexpected(waited.error());
    }
    return problem_of(exit_code::harness, "the lab does not end", options.name);
}

} // namespace ktstr::lab
