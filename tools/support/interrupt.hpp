// SPDX-License-Identifier: Apache-2.0
/// \file
/// Signals that ask the program to end (Ctrl-C and friends), turned into a number to look at and a descriptor to wait on.
#pragma once

#include "ktstr/sys/fd.hpp"
#include "support/problem.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <sys/eventfd.h>
#include <unistd.h>

namespace ktstr::tool {

/// Catches SIGINT, SIGTERM, SIGHUP and SIGQUIT while it lives; there is at most one at a time in a program.
/// The first signal is recorded and `fd()` becomes readable for good; the second of the same kind ends the program at
/// once with 128 + n (after `on_second`, which puts the terminal right).
class interrupt {
public:
    /// Installs the handlers; every thread started afterwards may take the signal.
    interrupt() {
        event_ = unique_fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        taken().store(0);
        typed().store(false);
        descriptor().store(event_.get());
        struct sigaction action{};
        action.sa_sigaction = &interrupt::handler;
        action.sa_flags = SA_SIGINFO;
        for (auto const number : numbers)
            ::sigaction(number, &action, nullptr);
        ::signal(SIGPIPE, SIG_IGN);
    }
    interrupt(interrupt const&) = delete;
    interrupt& operator=(interrupt const&) = delete;
    ~interrupt() {
        for (auto const number : numbers)
            ::signal(number, SIG_DFL);
        descriptor().store(-1);
    }

    /// The first signal that came, or 0.
    [[nodiscard]] static int number() noexcept { return taken().load(std::memory_order_acquire); }
    /// Whether it was typed: then the terminal gave it to every process of the foreground, our children too.
    [[nodiscard]] static bool from_terminal() noexcept { return typed().load(std::memory_order_acquire); }
    /// Becomes readable with the first signal and stays so.
    [[nodiscard]] int fd() const noexcept { return event_.get(); }
    /// The problem that a command ends with when a signal came: nothing to explain, exit code 128 + n.
    [[nodiscard]] static problem as_problem() {
        return {ended_by_signal(number()), "ended by signal " + std::to_string(number()), "", ""};
    }
    /// Called in the handler of a second signal before the program ends; must be signal-safe.
    static std::atomic<void (*)()>& on_second() noexcept {
        static std::atomic<void (*)()> hook{nullptr};
        return hook;
    }
    /// What a child process must do before exec: default handlers again.
    static void reset_in_child() noexcept {
        for (auto const number : numbers)
            ::signal(number, SIG_DFL);
        ::signal(SIGPIPE, SIG_DFL);
    }

private:
    static constexpr int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

    static std::atomic<int>& taken() noexcept {
        static std::atomic<int> value{0};
        return value;
    }
    static std::atomic<int>& descriptor() noexcept {
        static std::atomic<int> value{-1};
        return value;
    }
    static std::atomic<bool>& typed() noexcept {
        static std::atomic<bool> value{false};
        return value;
    }
    static void handler(int number, siginfo_t* info, void*) {
        auto const saved = errno;
        int none = 0;
        if (taken().load() == 0)
            typed().store(info != nullptr && info->si_code == SI_KERNEL);
        if (!taken().compare_exchange_strong(none, number) && none == number) {
            if (auto* const hook = on_second().load(); hook != nullptr)
                hook();
            ::_exit(128 + number);
        }
        std::uint64_t const one = 1;
        if (auto const fd = descriptor().load(); fd >= 0)
            (void)!::write(fd, &one, sizeof one);
        errno = saved;
    }

    unique_fd event_;
};

} // namespace ktstr::tool
