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

#include <cstdint>

namespace ktstr {

/// How a vCPU's loop ended, with the errno of a failed run.
struct loop_end {
    bsp_exit_reason reason = bsp_exit_reason::external_kill;
    std::int32_t os_errno = 0;
    exit_kind last = exit_kind::unknown; ///< The kind of the last exit.
};

/// Runs `cpu` until the machine stops or this vCPU sees its end. On the vCPU's thread; no allocation, no lock, no
/// virtual call. A shutdown or fatal verdict asks everybody to stop; the caller kicks the others.
template <Vcpu Cpu, ExitPolicy Policy, ExitStats Stats>
[[nodiscard]] loop_end run_loop(Cpu& cpu, Policy& policy, Stats& stats, run_control& control, vcpu_index self) noexcept {
    loop_end end;
    while (!control.stopping()) {
        auto const did = cpu.run(policy);
        stats.count(did.kind);
        end.last = did.kind;
        switch (did.status) {
        case run_status::exited:
            if (did.verdict.action == exit_action::resume) [[likely]]
                continue;
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
