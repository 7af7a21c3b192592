// SPDX-License-Identifier: Apache-2.0
/// \file
/// A helper program run for its output: nothing of it reaches our own descriptors.
#pragma once

#include "ktstr/base/units.hpp"
#include "ktstr/sys/fd.hpp"
#include "support/interrupt.hpp"
#include "support/problem.hpp"

#include <cerrno>
#include <csignal>
#include <ctime>
#include <poll.h>
#include <string>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace ktstr::tool {

/// How a captured program ended.
struct captured_child {
    int code = 0;       ///< Exit code, or 128 + n for signal n.
    std::string output; ///< Its standard output.
    std::string errors; ///< Its standard error.
};

/// Runs `words` (the first is searched in PATH) in folder `cwd` with the C locale and no input. It is killed when
/// `limit` has passed (problem with code 99) or a signal came (problem with 128 + n), and it dies with us.
/// A program that is not installed is a problem with code 77.
[[nodiscard]] inline outcome<captured_child> run_captured(std::vector<std::string> const& words, std::string const& cwd,
                                                          nanos limit) {
    int out_pipe[2];
    int err_pipe[2];
    if (::pipe2(out_pipe, O_CLOEXEC) != 0)
        return problem_of(exit_code::harness, std::string("cannot make a pipe: ") + std::strerror(errno));
    unique_fd out_read(out_pipe[0]);
    unique_fd out_write(out_pipe[1]);
    if (::pipe2(err_pipe, O_CLOEXEC) != 0)
        return problem_of(exit_code::harness, std::string("cannot make a pipe: ") + std::strerror(errno));
    unique_fd err_read(err_pipe[0]);
    unique_fd err_write(err_pipe[1]);
    std::vector<char*> argv;
    for (auto const& word : words)
        argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    auto const parent = ::getpid();
    auto const pid = ::fork();
    if (pid < 0)
        return problem_of(exit_code::harness, std::string("cannot start a process: ") + std::strerror(errno), words[0]);
    if (pid == 0) {
        interrupt::reset_in_child();
        ::prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (::getppid() != parent)
            ::_exit(99);
        ::setpgid(0, 0); // its own helpers end with it
        int const nothing = ::open("/dev/null", O_RDONLY);
        ::dup2(nothing, 0);
        ::dup2(out_write.get(), 1);
        ::dup2(err_write.get(), 2);
        ::setenv("LC_ALL", "C", 1);
        if (!cwd.empty() && ::chdir(cwd.c_str()) != 0)
            ::_exit(126);
        ::execvp(argv[0], argv.data());
        ::_exit(errno == ENOENT ? 127 : 126);
    }
    out_write.reset();
    err_write.reset();
    auto const now = [] {
        timespec t{};
        ::clock_gettime(CLOCK_MONOTONIC, &t);
        return nanos{t.tv_sec * 1'000'000'000 + t.tv_nsec};
    };
    auto const end = now() + limit;
    captured_child result;
    bool killed = false;
    while (out_read || err_read) {
        if (!killed && (interrupt::number() != 0 || now() > end)) {
            ::kill(-pid, SIGTERM);
            killed = true;
        }
        pollfd wait[2] = {{out_read.get(), POLLIN, 0}, {err_read.get(), POLLIN, 0}};
        if (::poll(wait, 2, 100) <= 0)
            continue;
        auto const drain = [](unique_fd& from, short events, std::string& to) {
            if (events == 0)
                return;
            char buffer[65536];
            auto const n = ::read(from.get(), buffer, sizeof buffer);
            if (n > 0)
                to.append(buffer, static_cast<std::size_t>(n));
            else if (n == 0 || errno != EINTR)
                from.reset();
        };
        drain(out_read, wait[0].revents, result.output);
        drain(err_read, wait[1].revents, result.errors);
    }
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (interrupt::number() != 0)
        return std::unexpected(interrupt::as_problem());
    if (killed)
        return problem_of(exit_code::harness, words[0] + " did not end in time", "", "try again");
    result.code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    if (result.code == 127 && result.output.empty() && result.errors.empty())
        return problem_of(exit_code::missing, "the program '" + words[0] + "' is not installed", "PATH",
                          "install it (Debian: apt-get install " + words[0] + ")");
    return result;
}

} // namespace ktstr::tool
