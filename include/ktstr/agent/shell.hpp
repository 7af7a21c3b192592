// SPDX-License-Identifier: Apache-2.0
/// \file
/// An interactive shell on the machine's console.
#pragma once

#include "ktstr/agent/command.hpp"
#include "ktstr/agent/session.hpp"
#include "ktstr/scenario/plan.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>
#include <vector>

namespace ktstr::agent {

/// The command of the shell: the plan's, or the first of bash, sh and busybox that is there; empty when none is.
[[nodiscard]] inline std::vector<std::string> shell_command(plan const& p) {
    if (!p.arguments.empty())
        return p.arguments;
    for (auto const* const path : {"/bin/bash", "/usr/bin/bash", "/bin/sh", "/usr/bin/sh"})
        if (::access(path, X_OK) == 0)
            return {path, "-i"};
    for (auto const* const path : {"/bin/busybox", "/usr/bin/busybox"})
        if (::access(path, X_OK) == 0)
            return {path, "sh", "-i"};
    return {};
}

/// Tells the terminal `fd` its size; the kernel signals the shell.
inline void set_window_size(int fd, std::uint16_t rows, std::uint16_t columns) noexcept {
    winsize size{};
    size.ws_row = rows;
    size.ws_col = columns;
    ::ioctl(fd, TIOCSWINSZ, &size);
}

/// Runs a shell with `console` (normally /dev/hvc0) as its controlling terminal until it ends; its exit code.
/// `not_found` at "shell" when the guest has none.
[[nodiscard]] inline result<std::int32_t> run_shell(plan const& p, session& host, char const* console) {
    host.enter(wire::agent_phase::shell);
    auto const command = shell_command(p);
    if (command.empty())
        return fail(errc::not_found, "shell");
    host.detail = console;
    KTSTR_TRY(auto const terminal, unique_fd::open(console, O_RDWR | O_NOCTTY));
    set_window_size(terminal.get(), p.rows, p.columns);
    KTSTR_TRY(auto report, detail::make_pipe());
    int const port = host.fd();
    pid_t const pid = ::fork();
    if (pid < 0)
        return os_fail("fork");
    if (pid == 0) {
        drop_crash_handler();
        ::setsid();
        int const own = ::open(console, O_RDWR);
        ::ioctl(own, TIOCSCTTY, 1);
        for (int fd = 0; fd < 3; ++fd)
            ::dup2(own, fd);
        if (own > 2)
            ::close(own);
        if (port > 2)
            ::close(port);
        detail::become(command, detail::command_environment(p), p.folder, report.write.get());
    }
    report.write.reset();
    if (int const number = detail::exec_outcome(report.read.get()); number != 0) {
        while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
        }
        host.detail = command.front();
        return os_fail("exec", 0, number);
    }
    auto next_sign = guest_now();
    unique_fd const death(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    for (;;) {
        pollfd watched{death.get(), POLLIN, 0};
        host.pump(death ? 500 : 100, {&watched, 1});
        if (host.asked().resized) {
            host.asked().resized = false;
            set_window_size(terminal.get(), host.asked().rows, host.asked().columns);
        }
        int status = 0;
        for (pid_t ended = 0; (ended = ::waitpid(-1, &status, WNOHANG)) > 0;)
            if (ended == pid)
                return code_of_status(status);
        if (host.asked().stop || host.host_gone())
            ::kill(-pid, SIGHUP);
        if (guest_now() >= next_sign) {
            host.send_kernel_log();
            wire::progress message;
            message.guest_ns = guest_now();
            message.at = host.at();
            host.send(message);
            next_sign = guest_now() + 500'000'000;
        }
    }
}

} // namespace ktstr::agent
