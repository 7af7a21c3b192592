// SPDX-License-Identifier: Apache-2.0
/// \file
/// Why a vCPU left guest mode, as typed values that do not depend on the hypervisor below.
#pragma once

#include "ktstr/base/units.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ktstr {

/// An access to an I/O port. For `in` the policy fills `data`; the bytes reach the guest at the next run.
/// `data` holds `count` items of `size` bytes each (string instructions give count > 1) and lives until then.
struct pio_exit {
    std::uint16_t port = 0;
    std::uint8_t size = 1; ///< 1, 2 or 4 bytes an item.
    std::span<std::byte> data{};
};

/// An access to a guest physical address without memory. For a read the policy fills `data` (1 to 8 bytes).
struct mmio_exit {
    gpa address{};
    std::span<std::byte> data{};
};

/// The vCPU executed HLT and the irqchip lives in user space (or HLT exits were asked for).
struct halt_exit {};

/// The processor shut down: a triple fault on x86.
struct shutdown_exit {};

/// The hypervisor reports a request of the guest's firmware interface: PSCI SYSTEM_OFF/RESET on aarch64.
struct system_event_exit {
    std::uint32_t type = 0; ///< KVM_SYSTEM_EVENT_*: 1 shutdown, 2 reset, 3 crash.
    std::uint64_t data = 0;
};

/// The vCPU could not enter guest mode.
struct fail_entry_exit {
    std::uint64_t hardware_reason = 0;
    std::uint32_t cpu = 0;
};

/// The hypervisor gave up on an instruction. Suberror 1 is "emulation failure".
struct internal_error_exit {
    std::uint32_t suberror = 0;
    std::array<std::uint64_t, 4> data{}; ///< The first words of detail, as many as there were.
    std::uint32_t words = 0;
};

/// A debug event: watchpoint, breakpoint or single step.
struct debug_exit {
    std::uint64_t pc = 0;
    std::uint64_t status = 0; ///< x86: DR6. aarch64: ESR_EL2 (HSR).
    std::uint64_t detail = 0; ///< x86: DR7. aarch64: FAR_EL2.
    std::uint32_t exception = 0;
};

/// An exit this library has no name for: reason and first raw bytes are kept so that nothing is lost.
struct unknown_exit {
    std::uint32_t reason = 0;
    std::array<std::byte, 64> raw{};
};

/// How one attempt to run a vCPU ended.
enum class run_status : std::uint8_t {
    exited,      ///< The exit policy was called.
    interrupted, ///< EINTR or EAGAIN: a kick or a signal. Look at the flags and run again.
    error,       ///< KVM_RUN failed for good; the errno is in the control block.
};

/// Names an exit for statistics; one slot an exit kind. `names` below is in the same order.
enum class exit_kind : std::uint8_t {
    pio_in, pio_out, mmio_read, mmio_write, halt, shutdown, system_event, fail_entry, internal_error, debug,
    interrupted, unknown,
};
inline constexpr std::size_t exit_kinds = 12;
inline constexpr std::array<char const*, exit_kinds> exit_kind_names{
    "pio_in", "pio_out", "mmio_read", "mmio_write", "halt", "shutdown", "system_event", "fail_entry",
    "internal_error", "debug", "interrupted", "unknown"};

} // namespace ktstr
