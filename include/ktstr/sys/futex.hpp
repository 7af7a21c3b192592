// SPDX-License-Identifier: Apache-2.0
/// \file
/// Sleeping until a word of memory changes: futex(2), private to this process.
#pragma once

#include "ktstr/base/units.hpp"

#include <atomic>
#include <climits>
#include <cstdint>
#include <ctime>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace ktstr {

static_assert(sizeof(std::atomic<std::uint32_t>) == 4, "the kernel looks at exactly these four bytes");

/// Sleeps while `word` holds `seen`: until a wake, a signal, or `timeout` passed. Returns at once when it holds something
/// else. The caller looks at the word again whatever happened.
inline void futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t seen, nanos timeout) noexcept {
    timespec const limit{static_cast<std::time_t>(timeout.raw / 1'000'000'000), static_cast<long>(timeout.raw % 1'000'000'000)};
    ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, seen, &limit, nullptr, 0);
}

/// Wakes everybody who sleeps on `word`.
inline void futex_wake_all(std::atomic<std::uint32_t>& word) noexcept {
    ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

} // namespace ktstr
