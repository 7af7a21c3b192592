// SPDX-License-Identifier: Apache-2.0
/// \file
/// A fork whose child begins its life inside a cgroup.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/layout.hpp"

#include <array>
#include <cstdint>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

namespace ktstr::agent {

namespace detail {
/// struct clone_args of linux/sched.h, its third version (with `cgroup`, linux 5.7).
struct clone_arguments {
    std::uint64_t flags = 0;
    std::uint64_t pidfd = 0;
    std::uint64_t child_tid = 0;
    std::uint64_t parent_tid = 0;
    std::uint64_t exit_signal = 0;
    std::uint64_t stack = 0;
    std::uint64_t stack_size = 0;
    std::uint64_t tls = 0;
    std::uint64_t set_tid = 0;
    std::uint64_t set_tid_size = 0;
    std::uint64_t cgroup = 0;
};
KTSTR_ABI(clone_arguments, 88);
KTSTR_ABI_AT(clone_arguments, exit_signal, 32);
KTSTR_ABI_AT(clone_arguments, cgroup, 80);
inline constexpr std::uint64_t clone_into_cgroup = 0x2'0000'0000;
} // namespace detail

/// Forks; the child is a member of the cgroup whose folder `cgroup` is from its first instruction. 0 in the child.
///
/// A move after the fork costs the kernel an RCU grace period each time, which is long on an oversubscribed machine; this
/// costs none. The child must not use what glibc prepares in fork() (atfork handlers do not run, its cached thread id is
/// the parent's). Only for single-threaded callers.
[[nodiscard]] inline result<pid_t> fork_into(int cgroup) noexcept {
    detail::clone_arguments arguments;
    arguments.flags = detail::clone_into_cgroup;
    arguments.exit_signal = SIGCHLD;
    arguments.cgroup = static_cast<std::uint64_t>(cgroup);
    auto const pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid < 0)
        return os_fail("clone3");
    return static_cast<pid_t>(pid);
}

} // namespace ktstr::agent
