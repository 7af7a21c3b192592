// SPDX-License-Identifier: Apache-2.0
/// \file
/// A child process whose end we wait for, and to which we pass on the signals that we get.
#pragma once

#include "ktstr/sys/fd.hpp"
#include "support/interrupt.hpp"
#include "support/problem.hpp"

#include <cerrno>
#include <csignal>
#include <poll.h>
#include <span>
#include <string>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace ktstr::tool {

/// Starts `words` (the first is the program's path) with our standard descriptors and waits for its end.
/// A signal that comes to us goes to the child too, which gets the time to clean up. The child dies with us.
/// The result is its exit code, 128 + n if signal n ended it.
[[nodiscard]] inline outcome<exit_code> run_child(std::vector<std::string> const& words, interrupt const& stop) {
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
        ::execv(argv[0], argv.data());
        auto const number = errno;
        (void)!::write(2, "error: cannot execute ", 22);
        (void)!::write(2, words[0].data(), words[0].size());
        (void)!::write(2, "\n", 1);
        ::_exit(number == ENOENT ? 77 : 99);
    }
    unique_fd const handle(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    bool told = false;
    for (;;) {
        pollfd wait[2] = {{handle.get(), POLLIN, 0}, {told ? -1 : stop.fd(), POLLIN, 0}};
        ::poll(wait, 2, handle ? -1 : 50);
        if (!told && interrupt::number() != 0) {
            if (!interrupt::from_terminal()) // Else it has got it already, and a second one would mean "at once".
                ::kill(pid, interrupt::number());
            told = true;
        }
        int status = 0;
        auto const ended = ::waitpid(pid, &status, WNOHANG);
        if (ended == pid)
            return static_cast<exit_code>(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
        if (ended < 0 && errno != EINTR)
            return problem_of(exit_code::harness, std::string("lost a child process: ") + std::strerror(errno),
                              words[0]);
    }
}

} // namespace ktstr::tool
