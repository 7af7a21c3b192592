// SPDX-License-Identifier: Apache-2.0
/// \file
/// What the threads of one machine share: whether to go on, and why the machine ended.
#pragma once

#include "ktstr/base/units.hpp"
#include "ktstr/hv/exit_policy.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace ktstr {

/// Why the loop of the BSP ended. Only `shutdown` is an orderly end.
enum class bsp_exit_reason : std::uint8_t {
    external_kill, ///< Somebody else ended the machine: an AP, the supervisor, a signal. The default.
    shutdown,      ///< The BSP itself saw the guest end in an orderly way.
    fatal,         ///< The BSP itself saw an exit that no machine survives.
    run_error,     ///< KVM_RUN of the BSP failed for good.
    timeout,       ///< The deadline passed.
};
inline constexpr std::array<char const*, 5> bsp_exit_reason_names{"external_kill", "shutdown", "fatal", "run_error",
                                                                  "timeout"};

/// The loop's own exit code: 0 for `shutdown`, -1 otherwise. The guest's EXIT message has the last word on a run.
[[nodiscard]] constexpr int exit_code(bsp_exit_reason reason) noexcept {
    return reason == bsp_exit_reason::shutdown ? 0 : -1;
}

inline constexpr std::array<char const*, 7> guest_end_names{
    "none", "i8042 reset", "ACPI reset", "ACPI power off", "triple fault", "PSCI system off", "PSCI system reset"};

/// Who asked for the end of the machine.
enum class stop_cause : std::uint32_t {
    none = 0,
    guest,      ///< A vCPU saw the guest end (shutdown exit or device).
    fatal,      ///< A vCPU saw a fatal exit.
    run_error,  ///< KVM_RUN failed on some vCPU.
    deadline,   ///< The hard deadline passed.
    supervisor, ///< The supervising thread has all it needs.
    signal,     ///< The process was asked to end.
    died,       ///< A thread of the machine died.
};
inline constexpr std::array<char const*, 8> stop_cause_names{"none",     "guest",      "fatal",  "run error",
                                                             "deadline", "supervisor", "signal", "thread died"};

/// Flags between the supervisor and the vCPU threads. The first cause wins; later ones change nothing.
///
/// Every function may be called from any thread and, but for reading, from a signal handler.
class run_control {
public:
    /// Asks every vCPU to leave its loop. True when this call was the first. Kick afterwards.
    bool request_stop(stop_cause cause) noexcept {
        auto expected = stop_cause::none;
        return stop_.compare_exchange_strong(expected, cause, std::memory_order_seq_cst);
    }
    [[nodiscard]] bool stopping() const noexcept { return stop_.load(std::memory_order_acquire) != stop_cause::none; }
    [[nodiscard]] stop_cause cause() const noexcept { return stop_.load(std::memory_order_acquire); }

    /// Notes how the guest ended; the first end wins.
    void note_end(guest_end end, vcpu_index by) noexcept {
        std::uint64_t expected = 0;
        end_.compare_exchange_strong(expected, (std::uint64_t{1} << 63) | (std::uint64_t{by.raw} << 8) |
                                                   static_cast<std::uint64_t>(end));
    }
    [[nodiscard]] guest_end end() const noexcept { return static_cast<guest_end>(end_.load() & 0xff); }
    /// The vCPU that saw the end; 0 when none did.
    [[nodiscard]] vcpu_index ended_by() const noexcept {
        return vcpu_index{static_cast<std::uint32_t>((end_.load() >> 8) & 0xffffffff)};
    }

private:
    std::atomic<stop_cause> stop_{stop_cause::none};
    std::atomic<std::uint64_t> end_{0};
    static_assert(std::atomic<stop_cause>::is_always_lock_free, "request_stop must be usable in a signal handler");
};

} // namespace ktstr
