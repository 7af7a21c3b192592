// SPDX-License-Identifier: Apache-2.0
/// \file
/// Runs the user's command in the guest: output as frames, input from the host, exit code back.
#pragma once

#include "ktstr/agent/crash_handler.hpp"
#include "ktstr/agent/session.hpp"
#include "ktstr/scenario/plan.hpp"
#include "ktstr/sys/fd.hpp"

#include <array>
#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <span>
#include <string>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace ktstr::agent {

/// The exit code a shell would show for a wait status.
[[nodiscard]] inline std::int32_t code_of_status(int status) noexcept {
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

namespace detail {
/// Environment of a command: our defaults, then the plan's, which win by coming later.
[[nodiscard]] inline std::vector<std::string> command_environment(plan const& p) {
    std::vector<std::string> out{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
                                 "TERM=linux", "KTSTR_GUEST=1"};
    for (auto const& text : p.environment) {
        auto const name = std::string_view(text).substr(0, text.find('=') + 1);
        std::erase_if(out, [&](std::string const& other) { return !name.empty() && other.starts_with(name); });
        out.push_back(text);
    }
    return out;
}

[[nodiscard]] inline std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (auto& t : texts)
        out.push_back(t.data());
    out.push_back(nullptr);
    return out;
}

/// Becomes `arguments`; on failure writes errno to `report` and ends with 127.
[[noreturn]] inline void become(std::vector<std::string> arguments, std::vector<std::string> environment,
                                std::string const& folder, int report) {
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    auto const argv = pointers(arguments);
    auto const envp = pointers(environment);
    if (folder.empty() || ::chdir(folder.c_str()) == 0) {
        for (auto& e : environment)
            if (e.starts_with("PATH="))
                ::setenv("PATH", e.c_str() + 5, 1); // execvpe searches the caller's PATH
        ::execvpe(argv[0], argv.data(), envp.data());
    }
    int const number = errno;
    [[maybe_unused]] auto const ignored = ::write(report, &number, sizeof number);
    ::_exit(127);
}

/// The errno that `become` reported through `fd`, or 0 once the exec has happened.
[[nodiscard]] inline int exec_outcome(int fd) noexcept {
    int number = 0;
    for (;;) {
        auto const n = ::read(fd, &number, sizeof number);
        if (n < 0 && errno == EINTR)
            continue;
        return n == sizeof number ? number : 0;
    }
}

struct pipe_ends {
    unique_fd read, write;
};
[[nodiscard]] inline result<pipe_ends> make_pipe() noexcept {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
        return os_fail("pipe");
    return pipe_ends{unique_fd(ends[0]), unique_fd(ends[1])};
}
} // namespace detail

/// Runs `p.arguments` to its end and forwards both its streams; the exit code, 128+n for a signal.
/// A command that cannot be started is an error at "exec" whose `os_errno` says why, with its name as `detail`.
/// A stop request sends SIGTERM, and SIGKILL when the stop grace is over. Output of processes that outlive the command
/// is forwarded for at most another 200 ms.
[[nodiscard]] inline result<std::int32_t> run_command(plan const& p, session& host) {
    host.enter(wire::agent_phase::exec);
    KTSTR_TRY(auto out, detail::make_pipe());
    KTSTR_TRY(auto err, detail::make_pipe());
    KTSTR_TRY(auto in, detail::make_pipe());
    KTSTR_TRY(auto report, detail::make_pipe());
    int const port = host.fd();
    pid_t const pid = ::fork();
    if (pid < 0)
        return os_fail("fork");
    if (pid == 0) {
        drop_crash_handler();
        ::setpgid(0, 0);
        if (!p.forward_stdin)
            in.read = unique_fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        ::dup2(in.read.get(), 0);
        ::dup2(out.write.get(), 1);
        ::dup2(err.write.get(), 2);
        if (port > 2)
            ::close(port);
        ::signal(SIGPIPE, SIG_DFL);
        detail::become(p.arguments, detail::command_environment(p), p.folder, report.write.get());
    }
    in.read.reset();
    out.write.reset();
    err.write.reset();
    report.write.reset();
    if (int const number = detail::exec_outcome(report.read.get()); number != 0) {
        while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
        }
        host.detail = p.arguments.front();
        return os_fail("exec", 0, number);
    }
    ::fcntl(in.write.get(), F_SETFL, O_NONBLOCK);
    if (!p.forward_stdin)
        in.write.reset();

    unique_fd const death(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    std::array<pollfd, 4> watched{};
    bool exited = false;
    int status = 0;
    std::uint64_t give_up = ~std::uint64_t{0}; // when to stop waiting for open pipes, or to kill
    bool asked_to_stop = false;
    auto next_sign = guest_now();
    while (out.read || err.read || !exited) {
        auto& input = host.asked().input;
        watched[0] = {out.read.get(), POLLIN, 0};
        watched[1] = {err.read.get(), POLLIN, 0};
        watched[2] = {input.empty() ? -1 : in.write.get(), POLLOUT, 0};
        watched[3] = {exited ? -1 : death.get(), POLLIN, 0};
        host.pump(exited || !death ? 50 : 500, watched);
        std::byte chunk[output_chunk];
        for (std::size_t i = 0; i < 2; ++i) {
            auto& pipe = i == 0 ? out.read : err.read;
            if (!pipe || watched[i].revents == 0)
                continue;
            auto const n = ::read(pipe.get(), chunk, sizeof chunk);
            if (n > 0)
                host.send_output(i == 0 ? wire::stream::out : wire::stream::err, {chunk, static_cast<std::size_t>(n)});
            else if (n == 0 || errno != EINTR)
                pipe.reset();
        }
        if (!input.empty() && (!in.write || watched[2].revents != 0)) {
            auto const n = in.write ? ::write(in.write.get(), input.data(), input.size()) : -1;
            if (n > 0)
                input.erase(input.begin(), input.begin() + n);
            else if (!in.write || (errno != EAGAIN && errno != EINTR)) {
                in.write.reset();
                input.clear();
            }
        }
        if (input.empty() && host.asked().input_end)
            in.write.reset();

        auto const now = guest_now();
        pid_t ended = 0;
        for (int s = 0; (ended = ::waitpid(-1, &s, WNOHANG)) > 0;)
            if (ended == pid) {
                exited = true;
                status = s;
                give_up = now + 200'000'000;
            }
        if (!asked_to_stop && !exited && (host.asked().stop || host.host_gone())) {
            asked_to_stop = true;
            ::kill(-pid, SIGTERM);
            give_up = now + p.stop_grace_ns;
        }
        if (now >= give_up) {
            if (exited)
                break;
            ::kill(-pid, SIGKILL);
            give_up = now + 1'000'000'000;
        }
        if (now >= next_sign) {
            host.send_kernel_log();
            wire::progress message;
            message.guest_ns = now;
            message.at = host.at();
            host.send(message);
            note_crash_context(host.at(), host.sequence());
            next_sign = now + 500'000'000;
        }
    }
    return code_of_status(status);
}

} // namespace ktstr::agent
