// SPDX-License-Identifier: Apache-2.0
/// \file
/// One pthread: started with a function, named, joined by its owner. <thread> costs a second of compile time a TU.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"

#include <cerrno>
#include <cstdint>
#include <ctime>
#include <memory>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>
#include <utility>

namespace ktstr {

/// Owns a running thread; joins it when destroyed. Signals other than faults are blocked in the new thread, so that
/// they reach the threads that want them.
class thread {
public:
    thread() noexcept = default;
    thread(thread&& other) noexcept : handle_(other.handle_), running_(std::exchange(other.running_, false)) {}
    thread& operator=(thread&& other) noexcept {
        join();
        handle_ = other.handle_;
        running_ = std::exchange(other.running_, false);
        return *this;
    }
    thread(thread const&) = delete;
    thread& operator=(thread const&) = delete;
    ~thread() { join(); }

    /// Starts `body` (callable without arguments, must not throw). `name` is cut to 15 bytes, as the kernel does.
    template <class F>
    [[nodiscard]] static result<thread> start(char const* name, F body) {
        auto owned = std::make_unique<F>(std::move(body));
        sigset_t all, old;
        ::sigfillset(&all);
        for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP})
            ::sigdelset(&all, fault);
        ::pthread_sigmask(SIG_BLOCK, &all, &old);
        thread out;
        int const error = ::pthread_create(&out.handle_, nullptr, &entry<F>, owned.get());
        ::pthread_sigmask(SIG_SETMASK, &old, nullptr);
        if (error != 0)
            return os_fail("pthread_create", 0, error);
        static_cast<void>(owned.release());
        out.running_ = true;
        char short_name[16]{};
        for (std::size_t i = 0; i < sizeof short_name - 1 && name[i] != '\0'; ++i)
            short_name[i] = name[i];
        ::pthread_setname_np(out.handle_, short_name);
        return out;
    }

    /// Waits for the end of the thread. Does nothing the second time.
    void join() noexcept {
        if (std::exchange(running_, false))
            ::pthread_join(handle_, nullptr);
    }
    [[nodiscard]] bool joinable() const noexcept { return running_; }
    [[nodiscard]] pthread_t handle() const noexcept { return handle_; }

    /// CPU time that the thread has used so far, in nanoseconds; 0 after its end.
    [[nodiscard]] std::int64_t cpu_time_ns() const noexcept {
        clockid_t clock{};
        timespec ts{};
        if (!running_ || ::pthread_getcpuclockid(handle_, &clock) != 0 || ::clock_gettime(clock, &ts) != 0)
            return 0;
        return std::int64_t{ts.tv_sec} * 1'000'000'000 + ts.tv_nsec;
    }

private:
    template <class F>
    static void* entry(void* raw) noexcept {
        std::unique_ptr<F> const body(static_cast<F*>(raw));
        (*body)();
        return nullptr;
    }

    pthread_t handle_{};
    bool running_ = false;
};

/// The kernel's id of the calling thread.
[[nodiscard]] inline pid_t this_thread_id() noexcept { return static_cast<pid_t>(::syscall(SYS_gettid)); }

} // namespace ktstr
