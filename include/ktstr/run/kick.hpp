// SPDX-License-Identifier: Apache-2.0
/// \file
/// Getting a vCPU out of the guest from another thread: `immediate_exit`, fence, signal.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/hv/vcpu.hpp"

#include <atomic>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

namespace ktstr {

/// The signal that interrupts KVM_RUN. Its handler does nothing: arriving is all it is for.
[[nodiscard]] inline int kick_signal() noexcept { return SIGRTMIN; }

/// Installs the handler of the kick signal for this process. Call once before the first vCPU thread starts; calling it
/// again is harmless. Without SA_RESTART, so that KVM_RUN returns EINTR.
[[nodiscard]] inline result<> install_kick_handler() noexcept {
    struct sigaction action {};
    action.sa_handler = [](int) { std::atomic_signal_fence(std::memory_order_seq_cst); };
    ::sigemptyset(&action.sa_mask);
    if (::sigaction(kick_signal(), &action, nullptr) != 0)
        return os_fail("sigaction");
    return {};
}

/// Lets the kick signal through in the calling thread. Every vCPU thread calls it first.
inline void accept_kicks() noexcept {
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, kick_signal());
    ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

/// Makes `cpu`, which runs on `thread`, leave the guest and look at the flags that were set before this call.
///
/// The order matters: the exit request closes the window in which the signal arrives between the loop's look at the
/// flags and KVM_RUN; the signal gets a vCPU out that is in the guest already. `thread` must not have been joined.
template <Vcpu Cpu>
void kick(Cpu& cpu, pthread_t thread) noexcept {
    cpu.request_exit();
    std::atomic_thread_fence(std::memory_order_seq_cst);
    ::pthread_kill(thread, kick_signal());
}

/// As `kick`, by the kernel's thread id: a third of the system calls (glibc's pthread_kill blocks and unblocks signals
/// around its own), which counts when many vCPUs are stopped at once. A thread that ended in between costs nothing: the
/// signal's handler does nothing whoever gets it, and only threads of this process can.
template <Vcpu Cpu>
void kick_tid(Cpu& cpu, pid_t thread) noexcept {
    cpu.request_exit();
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (thread != 0)
        ::syscall(SYS_tgkill, ::getpid(), thread, kick_signal());
}

} // namespace ktstr
