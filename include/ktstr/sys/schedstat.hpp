// SPDX-License-Identifier: Apache-2.0
/// \file
/// CPU service and waiting time of a thread, as the kernel accounts them in /proc/self/task/TID/schedstat.
/// Source: linux Documentation/scheduler/sched-stats.rst.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/sys/fd.hpp"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

namespace ktstr {

/// How much CPU a thread got and how long it waited for it.
struct thread_service {
    std::int64_t cpu_ns = 0;       ///< Time on a CPU.
    std::int64_t run_delay_ns = 0; ///< Time runnable but waiting.
    std::uint64_t slices = 0;      ///< Times it was put on a CPU.
};

/// The service of thread `tid` of this process so far. `errc::not_found` when there is no such thread or the kernel
/// keeps no schedstats.
[[nodiscard]] inline result<thread_service> read_thread_service(pid_t tid) noexcept {
    char path[64];
    std::snprintf(path, sizeof path, "/proc/self/task/%d/schedstat", static_cast<int>(tid));
    KTSTR_TRY(auto const fd, unique_fd::open(path, O_RDONLY));
    char text[96];
    auto const n = ::read(fd.get(), text, sizeof text - 1);
    if (n <= 0)
        return os_fail("schedstat");
    text[n] = '\0';
    char* at = text;
    thread_service out;
    out.cpu_ns = std::strtoll(at, &at, 10);
    out.run_delay_ns = std::strtoll(at, &at, 10);
    out.slices = std::strtoull(at, &at, 10);
    return out;
}

} // namespace ktstr
