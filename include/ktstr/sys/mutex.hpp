// SPDX-License-Identifier: Apache-2.0
/// \file
/// A mutex, its guard and a condition variable over pthread: the lock that devices use, without the weight of <mutex>.
#pragma once

#include "ktstr/base/units.hpp"

#include <ctime>
#include <pthread.h>

namespace ktstr {

/// A plain, non-recursive lock. Not movable; locking it twice from one thread deadlocks.
class mutex {
public:
    mutex() noexcept = default;
    mutex(mutex const&) = delete;
    mutex& operator=(mutex const&) = delete;
    ~mutex() { ::pthread_mutex_destroy(&raw_); }

    void lock() noexcept { ::pthread_mutex_lock(&raw_); }
    void unlock() noexcept { ::pthread_mutex_unlock(&raw_); }
    /// Takes the lock if nobody holds it; whether it did.
    [[nodiscard]] bool try_lock() noexcept { return ::pthread_mutex_trylock(&raw_) == 0; }

private:
    friend class condition;
    pthread_mutex_t raw_ = PTHREAD_MUTEX_INITIALIZER;
};

/// Holds a `mutex` for the length of a scope.
class [[nodiscard]] mutex_guard {
public:
    explicit mutex_guard(mutex& m) noexcept : held_(m) { held_.lock(); }
    mutex_guard(mutex_guard const&) = delete;
    mutex_guard& operator=(mutex_guard const&) = delete;
    ~mutex_guard() { held_.unlock(); }

private:
    mutex& held_;
};

/// Lets threads sleep until another one says that something changed. Wake-ups may be spurious: check the fact in a loop.
class condition {
public:
    condition() noexcept {
        pthread_condattr_t attributes;
        ::pthread_condattr_init(&attributes);
        ::pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        ::pthread_cond_init(&raw_, &attributes);
        ::pthread_condattr_destroy(&attributes);
    }
    condition(condition const&) = delete;
    condition& operator=(condition const&) = delete;
    ~condition() { ::pthread_cond_destroy(&raw_); }

    /// Releases `m` (held by the caller), sleeps until notified, and holds `m` again on return.
    void wait(mutex& m) noexcept { ::pthread_cond_wait(&raw_, &m.raw_); }
    /// As `wait`, at most until `deadline` on CLOCK_MONOTONIC; false when the deadline passed.
    [[nodiscard]] bool wait_until(mutex& m, nanos deadline) noexcept {
        timespec ts{};
        ts.tv_sec = static_cast<std::time_t>(deadline.raw / 1'000'000'000);
        ts.tv_nsec = static_cast<long>(deadline.raw % 1'000'000'000);
        return ::pthread_cond_timedwait(&raw_, &m.raw_, &ts) == 0;
    }
    void notify_one() noexcept { ::pthread_cond_signal(&raw_); }
    void notify_all() noexcept { ::pthread_cond_broadcast(&raw_); }

private:
    pthread_cond_t raw_;
};

} // namespace ktstr
