// SPDX-License-Identifier: Apache-2.0
/// \file
/// The loop of one vCPU over any model of `Vcpu`: the same for the BSP and the APs.
#pragma once

#include "ktstr/base/clock.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/hv/exit_policy.hpp"
#include "ktstr/hv/vcpu.hpp"
#include "ktstr/run/control.hpp"
#include "ktstr/run/exit_stats.hpp"
#include "ktstr/run/parker.hpp"

#include <cstdint>

namespace ktstr {

/// How a vCPU's loop ended, with the errno of a failed run.
struct loop_end {
    bsp_exit_reason reason = bsp_exit_reason::external_kill;
    std::int32_t os_errno = 0;
    exit_kind last = exit_kind::unknown; ///< The kind of the last exit.
};

namespace detail {
/// Exits that KVM completes at the next entry only: until then memory and registers do not agree.
[[nodiscard]] constexpr bool leaves_pending(exit_kind kind) noexcept {
    switch (kind) {
    case exit_kind::pio_in:
    case exit_kind::pio_out:
    case exit_kind::mmio_read:
    case exit_kind::mmio_write:
    case exit_kind::system_event:
    case exit_kind::unknown: return true;
    default: return false;
    }
}
/// Completing a read may write guest memory (string input, an instruction with a memory operand).
[[nodiscard]] constexpr bool completion_writes(exit_kind kind) noexcept {
    return leaves_pending(kind) && kind != exit_kind::pio_out && kind != exit_kind::mmio_write;
}
} // namespace detail

/// Runs `cpu` until the machine stops or this vCPU sees its end. On the vCPU's thread; no allocation, no lock, no
/// virtual call. A shutdown or fatal verdict asks everybody to stop; the caller kicks the others. `park` is where a
/// freeze stops this vCPU: always between two runs with nothing pending, after one more run that only completes.
template <Vcpu Cpu, ExitPolicy Policy, ExitStats Stats, Parker Park = never_parks>
[[nodiscard]] loop_end run_loop(Cpu& cpu, Policy& policy, Stats& stats, run_control& control, vcpu_index self,
                                Park park = {}) noexcept {
    loop_end end;
    parked_exits<Policy, Park> guarded(policy, park);
    bool pending = false;
    bool writes = false;
    while (!control.stopping()) {
        if constexpr (Park::enabled) {
            if (park.wanted()) [[unlikely]] {
                if (!pending) {
                    park.park();
                    continue;
                }
                park.settle();
                cpu.request_exit();
            }
            if (!writes)
                park.entering();
        }
        auto const did = cpu.run(guarded);
        stats.count(did.kind);
        end.last = did.kind;
        switch (did.status) {
        case run_status::exited:
            if constexpr (Park::enabled) {
                pending = detail::leaves_pending(did.kind);
                writes = detail::completion_writes(did.kind);
            }
            if (did.verdict.action == exit_action::resume) [[likely]]
                continue;
            if (did.verdict.action == exit_action::hold) {
                park.await();
                continue;
            }
            if (did.verdict.action == exit_action::shutdown) {
                control.note_end(did.verdict.end, self);
                control.request_stop(stop_cause::guest);
                end.reason = bsp_exit_reason::shutdown;
            } else {
                control.note_end(guest_end::none, self);
                control.request_stop(stop_cause::fatal);
                end.reason = bsp_exit_reason::fatal;
            }
            return end;
        case run_status::interrupted:
            pending = writes = false;
            // Cleared before the flags are read again: a kick that comes later sets it anew, so none is lost.
            cpu.clear_exit_request();
            continue;
        case run_status::error:
            control.note_end(guest_end::none, self);
            control.request_stop(stop_cause::run_error);
            end.reason = bsp_exit_reason::run_error;
            end.os_errno = did.os_errno;
            return end;
        }
    }
    if (control.cause() == stop_cause::deadline)
        end.reason = bsp_exit_reason::timeout;
    return end;
}

} // namespace ktstr
