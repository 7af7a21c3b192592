// SPDX-License-Identifier: Apache-2.0
// Commands that own a machine: run, start, prepare, version.
#include "ktstr-lab/commands.hpp"
#include "ktstr-lab/engine.hpp"
#include "ktstr-lab/image.hpp"
#include "ktstr-lab/named.hpp"
#include "ktstr/sys/io.hpp"
#include "ktstr/sys/publish.hpp"
#include "support/terminal.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <limits>
#include <memory>
#include <optional>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ktstr::lab {

namespace {
constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max() / 2;
constexpr std::int64_t entry_limit = 60 * second;

unique_fd duplicate(int fd) { return unique_fd(::fcntl(fd, F_DUPFD_CLOEXEC, 3)); }

/// A listening unix socket that is unlinked again.
struct host_socket {
    std::string path;
    explicit host_socket(std::string p) : path(std::move(p)) {}
    host_socket(host_socket const&) = delete;
    host_socket& operator=(host_socket const&) = delete;
    ~host_socket() { ::unlink(path.c_str()); }
};

outcome<> open_forwards(cli_options const& options, engine& lab, std::vector<std::unique_ptr<host_socket>>& sockets) {
    for (auto const& [host, inside] : options.forwards) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        if (host.size() >= sizeof address.sun_path)
            return problem_of(exit_code::bad_input, "the path of a socket is at most 107 bytes long", host);
        std::memcpy(address.sun_path, host.data(), host.size());
        unique_fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        auto const old = ::umask(0177);
        bool const good = fd && ::bind(fd.get(), reinterpret_cast<sockaddr const*>(&address), sizeof address) == 0
                          && ::listen(fd.get(), 16) == 0;
        ::umask(old);
        if (!good)
            return problem_of(exit_code::bad_input, std::string("cannot listen there: ") + std::strerror(errno), host,
                              "remove a socket left there, or choose another path");
        sockets.push_back(std::make_unique<host_socket>(host));
        lab.forward(std::move(fd), inside);
    }
    return {};
}

/// A lab that serves: files made sure of, machine restored, greeted.
outcome<std::unique_ptr<engine>> enter(signal_gate const& gate, cli_options const& options, std::string& parts) {
    auto files = prepare_files(gate, {options.config, false, false, false});
    if (!files)
        return std::unexpected(files.error());
    parts = files->parts;
    auto const deadline = now_ns() + entry_limit;
    auto box = machine::start(options.config, files->files);
    if (!box)
        return std::unexpected(box.error());
    if (auto done = box->load(gate, files->files.snapshot, deadline); !done)
        return std::unexpected(done.error());
    auto out = std::make_unique<engine>(std::move(*box), gate);
    if (auto done = out->greet(options.name.empty() ? "lab" : options.name, deadline); !done)
        return std::unexpected(done.error());
    return out;
}

std::string description_of(cli_options const& options, engine& lab, std::string const& parts) {
    return "\"qemu_pid\": " + std::to_string(lab.box().pid()) + ", \"cpus\": " + std::to_string(lab.facts().cpus)
           + ", \"memory_mib\": " + std::to_string(options.config.memory_mib) + ", \"time\": \""
           + (options.config.virtual_time ? "virtual" : "real") + "\", \"kernel\": \"" + lab.facts().release + "\", \"parts\": \""
           + parts + '"';
}

void save_console(cli_options const& options, engine const& lab) {
    if (options.console.empty())
        return;
    if (auto const done = publish(options.console, lab.console()); !done)
        std::fprintf(stderr, "warning: cannot write the console to %s: %s\n", options.console.c_str(),
                     tool::describe(done.error()).c_str());
}

outcome<std::vector<carried_path>> parse_all(std::vector<std::string> const& texts, outcome<carried_path> (*parse)(std::string_view)) {
    std::vector<carried_path> out;
    for (auto const& each : texts) {
        auto path = parse(each);
        if (!path)
            return std::unexpected(path.error());
        out.push_back(std::move(*path));
    }
    return out;
}
} // namespace

outcome<int> run_command(cli_options const& options) {
    auto in = parse_all(options.in, parse_in);
    if (!in)
        return std::unexpected(in.error());
    auto out = parse_all(options.out, parse_out);
    if (!out)
        return std::unexpected(out.error());
    auto gate = signal_gate::open();
    if (!gate)
        return std::unexpected(gate.error());
    std::optional<name_claim> claim;
    if (!options.name.empty()) {
        auto taken = name_claim::take(options.name);
        if (!taken)
            return std::unexpected(taken.error());
        claim.emplace(std::move(*taken));
    }
    std::string parts;
    auto entered = enter(*gate, options, parts);
    if (!entered)
        return std::unexpected(entered.error());
    auto& lab = **entered;
    std::vector<std::unique_ptr<host_socket>> sockets;
    if (auto done = open_forwards(options, lab, sockets); !done)
        return std::unexpected(done.error());
    std::optional<name_server> server;
    if (claim)
        server.emplace(lab, std::move(*claim), description_of(options, lab, parts));

    job_spec spec;
    spec.argv = options.argv;
    spec.env = options.env;
    spec.cwd = options.cwd;
    spec.in = std::move(*in);
    spec.out = std::move(*out);
    std::optional<tool::raw_terminal> raw;
    if (options.tty) {
        spec.tty = true;
        winsize size{};
        if (::ioctl(0, TIOCGWINSZ, &size) == 0 && size.ws_col != 0) {
            spec.rows = size.ws_row;
            spec.columns = size.ws_col;
        }
        if (auto const* const term = std::getenv("TERM"))
            spec.env.insert(spec.env.begin(), std::string("TERM=") + term);
        raw.emplace(0);
    }
    auto const limit = options.limit_ns >= 0 ? options.limit_ns : (options.tty ? 0 : 600 * second);
    if (limit != 0)
        spec.deadline = now_ns() + limit;
    if (options.stdin_wanted && (options.stdin_even_tty || ::isatty(0) != 1))
        spec.stdin_fd = duplicate(0);
    spec.stdout_fd = duplicate(1);
    spec.stderr_fd = duplicate(2);
    std::optional<job_result> result;
    auto const job = lab.submit(std::move(spec), [&](job_result const& r) { result = r; });
    lab.on_signal([&](int number) {
        winsize size{};
        if (number != SIGWINCH)
            lab.end_job(job, 128 + number, number, "");
        else if (::ioctl(0, TIOCGWINSZ, &size) == 0)
            lab.resize_job(job, size.ws_row, size.ws_col);
    });
    while (!result) {
        auto const turned = lab.turn(never);
        if (server && server->stop_asked() && !result)
            lab.end_job(job, 128 + SIGTERM, SIGTERM, "");
        if (!turned && !result)
            return std::unexpected(turned.error());
    }
    raw.reset();
    save_console(options, lab);
    std::fputs(result->text.c_str(), stderr);
    return result->code;
}

namespace {
/// The background half of start: serves until it is told to stop. `report` gets one byte 0 when callers are welcome.
outcome<int> serve_in_background(cli_options const& options, int report) {
    ::setsid();
    auto gate = signal_gate::open();
    if (!gate)
        return std::unexpected(gate.error());
    auto claim = name_claim::take(options.name);
    if (!claim)
        return std::unexpected(claim.error());
    std::string parts;
    auto entered = enter(*gate, options, parts);
    if (!entered)
        return std::unexpected(entered.error());
    auto& lab = **entered;
    std::vector<std::unique_ptr<host_socket>> sockets;
    if (auto done = open_forwards(options, lab, sockets); !done)
        return std::unexpected(done.error());
    name_server server(lab, std::move(*claim), description_of(options, lab, parts));
    bool ended = false;
    lab.on_signal([&](int number) { ended = ended || (number != SIGWINCH); });
    (void)write_all(report, std::string_view("\0", 1));
    ::close(report);
    unique_fd const null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    for (int const fd : {0, 1, 2})
        ::dup2(null.get(), fd);
    if (::chdir("/") != 0)
        return 99;
    auto const end = options.limit_ns > 0 ? now_ns() + options.limit_ns : never;
    while (!ended && !server.stop_asked() && now_ns() < end) {
        auto until = end;
        if (options.idle_ns != 0 && lab.jobs() == 0) {
            until = std::min(until, server.last_use() + options.idle_ns);
            if (now_ns() >= until)
                break;
        }
        if (!lab.turn(until))
            break;
    }
    save_console(options, lab);
    return 0;
}
} // namespace

outcome<int> start_command(cli_options const& options) {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0)
        return problem_of(exit_code::harness, std::string("pipe: ") + std::strerror(errno));
    unique_fd const ready(fds[0]);
    unique_fd report(fds[1]);
    auto const pid = ::fork();
    if (pid < 0)
        return problem_of(exit_code::harness, std::string("cannot start a process: ") + std::strerror(errno));
    if (pid == 0) {
        auto const code = serve_in_background(options, report.get());
        if (!code)
            tool::print(code.error());
        std::fflush(nullptr);
        ::_exit(code ? *code : static_cast<int>(code.error().code));
    }
    report.reset();
    auto const gate = signal_gate::open();
    if (!gate)
        return std::unexpected(gate.error());
    auto const heard = gate->readable(ready.get(), never);
    char byte = 1;
    if (heard && ::read(ready.get(), &byte, 1) == 1)
        return 0;
    if (!heard)
        ::kill(pid, SIGTERM);
    int status = 0;
    ::waitpid(pid, &status, 0);
    if (!heard)
        return std::unexpected(heard.error());
    return WIFEXITED(status) ? WEXITSTATUS(status) : static_cast<int>(exit_code::harness);
}

outcome<int> prepare_command(cli_options const& options) {
    auto const gate = signal_gate::open();
    if (!gate)
        return std::unexpected(gate.error());
    auto const files = prepare_files(*gate, {options.config, options.refresh, options.verify, false});
    if (!files)
        return std::unexpected(files.error());
    std::printf("lab: ready (%s)\n", files->parts.c_str());
    return 0;
}

outcome<int> version_command(cli_options const&) {
    std::puts("ktstr-lab 0.1.0");
    return 0;
}

} // namespace ktstr::lab
