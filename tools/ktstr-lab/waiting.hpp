// SPDX-License-Identifier: Apache-2.0
/// \file
/// Waiting that a signal ends: the one signalfd of the program, children that die with us, and the time.
#pragma once

#include "ktstr/sys/fd.hpp"
#include "support/problem.hpp"

#include <cstdint>
#include <string>
#include <sys/types.h>
#include <vector>

namespace ktstr::lab {

using tool::exit_code;
using tool::outcome;
using tool::problem;
using tool::problem_of;

/// Nanoseconds of CLOCK_MONOTONIC.
[[nodiscard]] std::int64_t now_ns() noexcept;
inline constexpr std::int64_t second = 1'000'000'000;

/// Blocks SIGINT, SIGTERM, SIGHUP, SIGWINCH and SIGPIPE for the process and reads the first four from a descriptor.
/// A signal that was ignored when the program started stays so.
class signal_gate {
public:
    [[nodiscard]] static outcome<signal_gate> open();
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    /// The next signal that waits, or 0.
    [[nodiscard]] int take() const noexcept;
    /// Waits until `fd` is readable: true, or false at `deadline` (CLOCK_MONOTONIC). SIGINT, SIGTERM and SIGHUP end the
    /// wait as a problem with code 128 + n.
    [[nodiscard]] outcome<bool> readable(int fd, std::int64_t deadline) const;

private:
    unique_fd fd_;
};

/// The problem "interrupted by signal n".
[[nodiscard]] std::unexpected<problem> interrupted(int number);

/// A child process that the kernel kills when we die, and that the destructor kills and collects.
class child {
public:
    child() noexcept = default;
    child(child&& other) noexcept : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)) {}
    child& operator=(child&& other) noexcept {
        child taken(std::move(other));
        std::swap(pid_, taken.pid_);
        std::swap(pidfd_, taken.pidfd_);
        return *this;
    }
    child(child const&) = delete;
    child& operator=(child const&) = delete;
    ~child();

    struct options {
        std::string cwd;
        std::vector<std::string> env; ///< added to ours
        int out = -1, err = -1; ///< become stdout and stderr; -1 = /dev/null
        std::vector<int> keep; ///< descriptors that stay open under their numbers
    };
    [[nodiscard]] static outcome<child> start(std::vector<std::string> const& argv, options const& how);

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }
    /// Readable once the child has ended.
    [[nodiscard]] int pidfd() const noexcept { return pidfd_.get(); }
    /// Kills it and waits. Its wait status, or -1.
    int end() noexcept;
    /// Collects an ended child: its exit status, 128 + n after a signal.
    [[nodiscard]] int collect() noexcept;

private:
    pid_t pid_ = -1;
    unique_fd pidfd_;
};

/// Runs a program to its end and returns what it wrote to stdout. A failure carries the end of its stderr.
[[nodiscard]] outcome<std::string> run_program(signal_gate const& gate, std::vector<std::string> const& argv,
                                               child::options how, std::int64_t limit_ns);

} // namespace ktstr::lab
