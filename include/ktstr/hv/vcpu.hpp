// SPDX-License-Identifier: Apache-2.0
/// \file
/// The `Vcpu` policy: one virtual processor of any hypervisor.
///
/// Contract: everything but `request_exit` is called on the vCPU's own thread (or before that thread exists).
/// - `run(policy)` enters the guest once, calls exactly one function of `policy` if an exit needs an answer, and
///   reports. A pending answer (the data of an `in` or an MMIO read) reaches the guest at the next `run`.
/// - `request_exit()` makes the current or next `run` return `interrupted` as soon as possible, without entering the
///   guest again, until `clear_exit_request()`. Callable from any thread and from a signal handler. By itself it does
///   not interrupt a guest that is running: run/kick.hpp adds the signal.
/// - `get_regs` and `set_regs` move the general registers; their type is the model's `regs_type`.
/// Models: `scripted_vcpu` (hv/scripted.hpp), `kvm::vcpu` (kvm/vcpu.hpp). Suite: tests/suites/vcpu_suite.hpp.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/hv/exit.hpp"
#include "ktstr/hv/exit_policy.hpp"

#include <concepts>
#include <cstdint>

namespace ktstr {

/// What one `run` did.
struct run_result {
    run_status status = run_status::exited;
    exit_kind kind = exit_kind::unknown;
    exit_verdict verdict{};     ///< Meaningful when `status` is `exited`.
    std::int32_t os_errno = 0;  ///< Meaningful when `status` is `error`.
};

namespace detail {
template <class V>
concept vcpu_run = requires(V& v, stop_on_all& p) {
    { v.run(p) } noexcept -> std::same_as<run_result>;
};
template <class V>
concept vcpu_request_exit = requires(V& v) {
    { v.request_exit() } noexcept -> std::same_as<void>;
};
template <class V>
concept vcpu_clear_exit_request = requires(V& v) {
    { v.clear_exit_request() } noexcept -> std::same_as<void>;
};
template <class V>
concept vcpu_regs = requires(V& v, typename V::regs_type const& r) {
    { v.get_regs() } -> std::same_as<result<typename V::regs_type>>;
    { v.set_regs(r) } -> std::same_as<result<>>;
};
} // namespace detail

/// A virtual processor; see the contract at the top of this file.
template <class V>
concept Vcpu =
    detail::vcpu_run<V> && detail::vcpu_request_exit<V> && detail::vcpu_clear_exit_request<V> && detail::vcpu_regs<V>;

/// Fails to compile with one sentence per requirement that `V` misses.
template <class V>
consteval bool explain_vcpu() {
    static_assert(detail::vcpu_run<V>, "Vcpu: missing `run_result run(ExitPolicy auto&) noexcept`");
    static_assert(detail::vcpu_request_exit<V>, "Vcpu: missing `void request_exit() noexcept`");
    static_assert(detail::vcpu_clear_exit_request<V>, "Vcpu: missing `void clear_exit_request() noexcept`");
    static_assert(detail::vcpu_regs<V>, "Vcpu: missing `regs_type`, `result<regs_type> get_regs()` or `result<> set_regs(regs_type const&)`");
    return Vcpu<V>;
}

} // namespace ktstr
