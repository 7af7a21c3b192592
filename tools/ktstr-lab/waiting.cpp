// SPDX-License-Identifier: Apache-2.0
#include "ktstr-lab/waiting.hpp"
#include "ktstr/sys/io.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

namespace ktstr::lab {

std::int64_t now_ns() noexcept {
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * second + t.tv_nsec;
}

outcome<signal_gate> signal_gate::open() {
    sigset_t set;
    sigemptyset(&set);
    for (int const each : {SIGINT, SIGTERM, SIGHUP, SIGWINCH}) {
        // What our caller ignores (nohup, a shell's background job) stays ignored.
        struct sigaction now {};
        if (each == SIGWINCH || ::sigaction(each, nullptr, &now) != 0 || now.sa_handler != SIG_IGN)
            sigaddset(&set, each);
    }
    signal_gate out;
    out.fd_ = unique_fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    sigaddset(&set, SIGPIPE);
    if (!out.fd_ || ::sigprocmask(SIG_BLOCK, &set, nullptr) != 0)
        return problem_of(exit_code::harness, std::string("cannot watch for signals: ") + std::strerror(errno));
    return out;
}

int signal_gate::take() const noexcept {
    signalfd_siginfo info{};
    return ::read(fd_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info) ? static_cast<int>(info.ssi_signo) : 0;
}

std::unexpected<problem> interrupted(int number) {
    return problem_of(tool::ended_by_signal(number), std::string("interrupted (") + ::sigdescr_np(number) + ")");
}

outcome<bool> signal_gate::readable(int fd, std::int64_t deadline) const {
    for (;;) {
        pollfd set[2] = {{fd, POLLIN, 0}, {fd_.get(), POLLIN, 0}};
        auto const left = deadline - now_ns();
        if (left <= 0)
            return false;
        auto const n = ::poll(set, 2, static_cast<int>(std::min<std::int64_t>(left / 1'000'000 + 1, 1'000'000)));
        if (n > 0 && set[1].revents != 0)
            if (auto const number = take(); number != 0 && number != SIGWINCH)
                return interrupted(number);
        if (n > 0 && set[0].revents != 0)
            return true;
    }
}

child::~child() { end(); }

int child::end() noexcept {
    if (pid_ < 0)
        return -1;
    ::kill(pid_, SIGKILL);
    int status = -1;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
}

int child::collect() noexcept {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

outcome<child> child::start(std::vector<std::string> const& argv, options const& how) {
    std::vector<char*> raw;
    for (auto const& each : argv)
        raw.push_back(const_cast<char*>(each.c_str()));
    raw.push_back(nullptr);
    auto const parent = ::getpid();
    auto const pid = ::fork();
    if (pid < 0)
        return problem_of(exit_code::harness, std::string("cannot start a process: ") + std::strerror(errno), argv.front());
    if (pid == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent)
            ::_exit(126);
        ::setpgid(0, 0); // the terminal's Ctrl-C is ours to handle
        sigset_t none;
        sigemptyset(&none);
        ::sigprocmask(SIG_SETMASK, &none, nullptr);
        int const null = ::open("/dev/null", O_RDWR);
        ::dup2(null, 0);
        ::dup2(how.out >= 0 ? how.out : null, 1);
        ::dup2(how.err >= 0 ? how.err : null, 2);
        for (int const fd : how.keep)
            ::fcntl(fd, F_SETFD, 0);
        for (auto const& each : how.env)
            ::putenv(const_cast<char*>(each.c_str()));
        if (!how.cwd.empty() && ::chdir(how.cwd.c_str()) != 0)
            ::_exit(126);
        ::execvp(raw.front(), raw.data());
        ::_exit(127);
    }
    child out;
    out.pid_ = pid;
    out.pidfd_ = unique_fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!out.pidfd_)
        return problem_of(exit_code::harness, std::string("pidfd_open: ") + std::strerror(errno));
    return out;
}

outcome<std::string> run_program(signal_gate const& gate, std::vector<std::string> const& argv, child::options how,
                                 std::int64_t limit_ns) {
    auto out = unique_fd::memfd("stdout");
    auto err = unique_fd::memfd("stderr");
    if (!out || !err)
        return problem_of(exit_code::harness, std::string("memfd: ") + std::strerror(errno));
    how.out = out->get();
    how.err = err->get();
    auto started = child::start(argv, how);
    if (!started)
        return std::unexpected(started.error());
    auto const ended = gate.readable(started->pidfd(), now_ns() + limit_ns);
    if (!ended)
        return std::unexpected(ended.error());
    std::string command;
    for (auto const& each : argv)
        command += (command.empty() ? "" : " ") + each;
    if (!*ended)
        return problem_of(exit_code::harness, "a helper program did not end in time", command);
    auto const code = started->collect();
    auto const slurp = [](int fd) {
        ::lseek(fd, 0, SEEK_SET);
        auto const raw = read_to_end(fd, 64U << 20);
        return raw ? std::string(reinterpret_cast<char const*>(raw->data()), raw->size()) : std::string();
    };
    if (code != 0) {
        auto said = slurp(err->get());
        while (!said.empty() && said.back() == '\n')
            said.pop_back();
        if (said.size() > 600)
            said.erase(0, said.size() - 600);
        return problem_of(code == 127 ? exit_code::missing : exit_code::harness,
                          code == 127 ? "program '" + argv.front() + "' is not installed"
                                      : "'" + argv.front() + "' failed with code " + std::to_string(code) + ": " + said,
                          command);
    }
    return slurp(out->get());
}

} // namespace ktstr::lab
