// SPDX-License-Identifier: Apache-2.0
/// \file
/// A memory barrier on every CPU that runs a thread of this process: membarrier(2), the expedited private kind.
///
/// Source: linux kernel/sched/membarrier.c, membarrier_private_expedited(): a full barrier, an interrupt to each CPU whose
/// current task has our mm, the wait for all of them, a full barrier. A CPU that is between two of our threads passes the
/// full barrier of the context switch instead.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace ktstr {

/// Tells the kernel that this process will ask for barriers. Once per process; again is harmless.
[[nodiscard]] inline result<> register_membarrier() noexcept {
    if (::syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) != 0)
        return os_fail("membarrier.register");
    return {};
}

/// The barrier; false when the process is not registered or the kernel has no such call.
[[nodiscard]] inline bool membarrier_all() noexcept {
    return ::syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
}

} // namespace ktstr
