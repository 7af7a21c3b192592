// SPDX-License-Identifier: Apache-2.0
/// \file
/// The `FreezeFence` policy: how "I am in our code" and "somebody wants a freeze" become visible to each other.
///
/// A thread writes its status and then reads the order; whoever freezes writes the order and then reads the statuses. One
/// of them must see the other (Dekker's problem), which takes a full barrier on both sides. Freezes are rare and exits are
/// not, so the production model pays on the rare side only.
///
/// Contract: `publish(word, value)` stores on the frequent side; a read of the order may follow directly.
/// `heavy()` is called by whoever freezes between his store of the order and his reads; false: the barrier could not be
/// had, and the statuses read afterwards prove nothing. `stops_guests`: after `heavy()` no guest instruction runs on a
/// vCPU that was kicked before. `prepare()` once per process.
/// Models: `asymmetric_fence` (membarrier), `symmetric_fence` (sequentially consistent operations on both sides: for the
/// thread sanitizer, which does not understand membarrier, and for kernels without it).
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/sys/membarrier.hpp"

#include <atomic>
#include <concepts>
#include <cstdint>

namespace ktstr {

/// A pair of fences; see the contract at the top of this file.
template <class F>
concept FreezeFence = requires(std::atomic<std::uint32_t>& word, std::uint32_t value) {
    { F::publish(word, value) } noexcept -> std::same_as<void>;
    { F::heavy() } noexcept -> std::same_as<bool>;
    { F::prepare() } -> std::same_as<result<>>;
    { F::stops_guests } -> std::convertible_to<bool>;
};

/// The frequent side costs a plain store; the rare side interrupts every CPU that runs one of our threads.
///
/// Why no guest instruction runs after `heavy()` on a vCPU that was kicked before (signal pending, `immediate_exit` set):
/// - A CPU in guest mode gets membarrier's interrupt, which is an exit; before the next entry vcpu_enter_guest() (arch/x86/
///   kvm/x86.c; arm64: kvm_vcpu_exit_request() in arch/arm64/kvm/arm.c) looks at pending thread work with interrupts
///   off and finds the signal: the entry is cancelled.
/// - A CPU on its way in, past that look, has interrupts off until it is in guest mode; the interrupt waits for that moment
///   and membarrier waits for the interrupt.
/// - A CPU on its way in, before that look, finds the signal: it was made pending before membarrier was called.
/// - A vCPU thread that is not on a CPU passes the scheduler's full barrier and the same look before it can enter.
/// What it does not cover: a store that KVM itself completes for the guest (its instruction emulator, steal time, the
/// clock page), which may land until the thread has left KVM_RUN. `park()` covers that.
struct asymmetric_fence {
    static constexpr bool stops_guests = true;
    static void publish(std::atomic<std::uint32_t>& word, std::uint32_t value) noexcept {
        word.store(value, std::memory_order_release);
        std::atomic_signal_fence(std::memory_order_seq_cst);
    }
    [[nodiscard]] static bool heavy() noexcept { return membarrier_all(); }
    [[nodiscard]] static result<> prepare() noexcept { return register_membarrier(); }
};
static_assert(FreezeFence<asymmetric_fence>);

/// Both sides pay; nothing is known of guests that still run.
struct symmetric_fence {
    static constexpr bool stops_guests = false;
    static void publish(std::atomic<std::uint32_t>& word, std::uint32_t value) noexcept {
        word.exchange(value, std::memory_order_seq_cst);
    }
    [[nodiscard]] static bool heavy() noexcept { return true; }
    [[nodiscard]] static result<> prepare() noexcept { return {}; }
};
static_assert(FreezeFence<symmetric_fence>);

} // namespace ktstr
