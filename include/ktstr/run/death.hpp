// SPDX-License-Identifier: Apache-2.0
/// \file
/// What happens to a machine when one of its threads dies: the flags flip before the process ends.
///
/// A vCPU loop is noexcept, so an exception that escapes a policy ends in std::terminate and abort(); a wild pointer
/// ends in SIGSEGV. Either way the other vCPUs must leave the guest and the supervisor must learn of it, because an
/// embedding process may survive (a harness that handles SIGABRT in its own way) or may want a last report.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/run/control.hpp"

#include <cstdint>
#include <signal.h>
#include <unistd.h>

namespace ktstr {

/// While it lives, a death of the calling thread stops the machine of `control` and signals the eventfd `wake`.
/// One a thread; takes effect only in a process that called `install_death_handlers()`.
class death_watch {
public:
    death_watch(run_control& control, int wake) noexcept : control_(control), wake_(wake) { current() = this; }
    ~death_watch() { current() = nullptr; }
    death_watch(death_watch const&) = delete;
    death_watch& operator=(death_watch const&) = delete;

    /// Flips the flags of the calling thread's machine, if it has one. Async-signal-safe.
    static void thread_died() noexcept {
        death_watch* const watch = current();
        if (watch == nullptr)
            return;
        watch->control_.request_stop(stop_cause::died);
        std::uint64_t const one = 1;
        [[maybe_unused]] auto const ignored = ::write(watch->wake_, &one, sizeof one);
    }

private:
    static death_watch*& current() noexcept {
        thread_local death_watch* watch = nullptr;
        return watch;
    }
    run_control& control_;
    int wake_;
};

/// Makes abort() and faults flip the flags of the dying thread's machine first; then the default action follows, so the
/// process still ends with the signal. For programs; a library user who has handlers of his own calls
/// `death_watch::thread_died()` from them instead.
[[nodiscard]] inline result<> install_death_handlers() noexcept {
    struct sigaction action {};
    action.sa_handler = [](int number) {
        death_watch::thread_died();
        ::signal(number, SIG_DFL);
        ::raise(number);
    };
    ::sigemptyset(&action.sa_mask);
    action.sa_flags = SA_NODEFER;
    for (int number : {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE}) {
        if (::sigaction(number, &action, nullptr) != 0)
            return os_fail("sigaction", static_cast<std::uint64_t>(number));
    }
    return {};
}

} // namespace ktstr
