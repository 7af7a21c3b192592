// SPDX-License-Identifier: Apache-2.0
/// \file
/// Ends a system call of the calling thread that takes too long.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/run/kick.hpp"

#include <csignal>
#include <ctime>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

namespace ktstr {

/// After `limit` sends the kick signal to the thread that made it, again and again every 10 ms until destroyed: a signal
/// that comes just before KVM_RUN is lost, the next one is not. The handler must be installed (`install_kick_handler`).
class watchdog {
public:
    [[nodiscard]] static result<watchdog> start(nanos limit) noexcept {
        accept_kicks();
        sigevent event{};
        event.sigev_notify = SIGEV_THREAD_ID;
        event.sigev_signo = kick_signal();
        event._sigev_un._tid = static_cast<int>(::syscall(SYS_gettid)); // glibc has no public name for it.
        watchdog out;
        if (::timer_create(CLOCK_MONOTONIC, &event, &out.timer_) != 0)
            return os_fail("timer_create");
        out.armed_ = true;
        itimerspec when{};
        when.it_value.tv_sec = limit.raw / 1'000'000'000;
        when.it_value.tv_nsec = limit.raw % 1'000'000'000;
        when.it_interval.tv_nsec = 10'000'000;
        if (::timer_settime(out.timer_, 0, &when, nullptr) != 0)
            return os_fail("timer_settime");
        return out;
    }

    watchdog(watchdog&& other) noexcept : timer_(other.timer_), armed_(std::exchange(other.armed_, false)) {}
    watchdog& operator=(watchdog&&) = delete;
    ~watchdog() {
        if (armed_)
            ::timer_delete(timer_);
    }

private:
    watchdog() noexcept = default;
    timer_t timer_{};
    bool armed_ = false;
};

} // namespace ktstr
