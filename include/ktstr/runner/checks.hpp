// SPDX-License-Identifier: Apache-2.0
/// \file
/// Every rule that a traits bag must keep, each with a sentence: policy by policy, then between policies.
#pragma once

#include "ktstr/arch/arch.hpp"
#include "ktstr/base/clock.hpp"
#include "ktstr/base/log.hpp"
#include "ktstr/freeze/policy.hpp"
#include "ktstr/hv/exit_policy.hpp"
#include "ktstr/hv/hypervisor.hpp"
#include "ktstr/mem/mmap_memory.hpp"
#include "ktstr/run/exit_stats.hpp"
#include "ktstr/snapshot/sink.hpp"

#include <concepts>
#include <type_traits>

namespace ktstr {

namespace detail {
template <class H>
inline constexpr bool tracks_dirty_pages = requires { requires H::tracks_dirty_pages; };
template <class H, class A>
inline constexpr bool regs_agree =
    std::same_as<typename H::vm_type::vcpu_type::regs_type, typename A::regs_type> ||
    !requires { requires H::native; };
} // namespace detail

/// Fails to compile with a sentence for the first rule that `Traits` breaks.
template <class Traits>
consteval bool explain_runner_traits() {
    static_assert(explain_arch<typename Traits::arch>());
    static_assert(explain_hypervisor<typename Traits::hypervisor>());
    static_assert(explain_ram_backing<typename Traits::ram>());
    static_assert(explain_exit_policy<typename Traits::exits>());
    static_assert(explain_exit_stats<typename Traits::stats>());
    static_assert(explain_freeze_policy<typename Traits::freeze>());
    static_assert(explain_snapshot_sink<typename Traits::sink>());
    static_assert(explain_log_sink<typename Traits::log>());
    static_assert(explain_clock<typename Traits::clock>());
    static_assert(!Traits::sink::incremental || detail::tracks_dirty_pages<typename Traits::hypervisor>,
                  "runner: an incremental SnapshotSink needs a Hypervisor that tracks dirty pages");
    static_assert(detail::regs_agree<typename Traits::hypervisor, typename Traits::arch>,
                  "runner: the Hypervisor's vCPU registers are not those of Traits::arch");
    return true;
}

} // namespace ktstr
