// SPDX-License-Identifier: Apache-2.0
/// \file
/// The `ExitPolicy` policy: what happens at each exit of a vCPU.
///
/// Contract: one function per exit kind, called on the vCPU's own thread between two runs; nothing may block for long,
/// allocate or throw. Several vCPUs call the same policy object at once, so state behind it locks itself. The return
/// value says how the loop goes on. A new exit kind breaks the build of every policy instead of being lost at run
/// time; `exit_defaults<Arch>` (run/exit_table.hpp) answers for those who do not care about a kind.
/// Models: `stop_on_all`, `bus_exits` (run/bus_exits.hpp), `either_exits` (run/either_exits.hpp). Suite: tests/suites/exit_policy_suite.hpp.
#pragma once

#include "ktstr/hv/exit.hpp"

#include <concepts>
#include <cstdint>

namespace ktstr {

/// What the run loop does after an exit.
enum class exit_action : std::uint8_t {
    resume,   ///< Run the vCPU again.
    shutdown, ///< The guest is done, in an orderly way or by a triple fault; every vCPU stops.
    fatal,    ///< The machine cannot go on; every vCPU stops.
    hold,     ///< The vCPU stays here until the freeze that its exit asked for (a watchpoint) comes, or a second passed.
};

/// Which of the guest's ways to end was taken. `none` while the machine runs.
enum class guest_end : std::uint8_t { none, reset_i8042, reset_acpi, power_off, triple_fault, system_off, system_reset };

/// The answer of an exit policy: what to do, and, for `shutdown`, which way the guest took.
struct exit_verdict {
    exit_action action = exit_action::resume;
    guest_end end = guest_end::none;
    friend constexpr bool operator==(exit_verdict, exit_verdict) noexcept = default;
};

namespace detail {
#define KTSTR_EXIT_POLICY_HAS(name, type)                                                                              \
    template <class P>                                                                                                 \
    concept exit_policy_##name = requires(P& p, type const& e) {                                                       \
        { p.name(e) } noexcept -> std::same_as<exit_verdict>;                                                          \
    }
KTSTR_EXIT_POLICY_HAS(on_pio_in, pio_exit);
KTSTR_EXIT_POLICY_HAS(on_pio_out, pio_exit);
KTSTR_EXIT_POLICY_HAS(on_mmio_read, mmio_exit);
KTSTR_EXIT_POLICY_HAS(on_mmio_write, mmio_exit);
KTSTR_EXIT_POLICY_HAS(on_halt, halt_exit);
KTSTR_EXIT_POLICY_HAS(on_shutdown, shutdown_exit);
KTSTR_EXIT_POLICY_HAS(on_system_event, system_event_exit);
KTSTR_EXIT_POLICY_HAS(on_fail_entry, fail_entry_exit);
KTSTR_EXIT_POLICY_HAS(on_internal_error, internal_error_exit);
KTSTR_EXIT_POLICY_HAS(on_debug, debug_exit);
KTSTR_EXIT_POLICY_HAS(on_unknown, unknown_exit);
#undef KTSTR_EXIT_POLICY_HAS
} // namespace detail

/// A complete set of answers to exits; see the contract at the top of this file.
template <class P>
concept ExitPolicy =
    detail::exit_policy_on_pio_in<P> && detail::exit_policy_on_pio_out<P> && detail::exit_policy_on_mmio_read<P> &&
    detail::exit_policy_on_mmio_write<P> && detail::exit_policy_on_halt<P> && detail::exit_policy_on_shutdown<P> &&
    detail::exit_policy_on_system_event<P> && detail::exit_policy_on_fail_entry<P> &&
    detail::exit_policy_on_internal_error<P> && detail::exit_policy_on_debug<P> && detail::exit_policy_on_unknown<P>;

/// Fails to compile with one sentence per requirement that `P` misses.
template <class P>
consteval bool explain_exit_policy() {
    static_assert(detail::exit_policy_on_pio_in<P>, "ExitPolicy: missing `exit_verdict on_pio_in(pio_exit const&) noexcept`");
    static_assert(detail::exit_policy_on_pio_out<P>, "ExitPolicy: missing `exit_verdict on_pio_out(pio_exit const&) noexcept`");
    static_assert(detail::exit_policy_on_mmio_read<P>, "ExitPolicy: missing `exit_verdict on_mmio_read(mmio_exit const&) noexcept`");
    static_assert(detail::exit_policy_on_mmio_write<P>, "ExitPolicy: missing `exit_verdict on_mmio_write(mmio_exit const&) noexcept`");
    static_assert(detail::exit_policy_on_halt<P>, "ExitPolicy: missing `exit_verdict on_halt(halt_exit const&) noexcept`");
    static_assert(detail::exit_policy_on_shutdown<P>, "ExitPolicy: missing `exit_verdict on_shutdown(shutdown_exit const&) noexcept`");
    static_assert(detail::exit_policy_on_system_event<P>,
                  "ExitPolicy: missing `exit_verdict on_system_event(system_event_exit const&) noexcept`");
    static_assert(detail::exit_policy_on_fail_entry<P>, "ExitPolicy: missing `exit_verdict on_fail_entry(fail_entry_exit const&) noexcept`");
    static_assert(detail::exit_policy_on_internal_error<P>,
                  "ExitPolicy: missing `exit_verdict on_internal_error(internal_error_exit const&) noexcept`");
    static_assert(detail::exit_policy_on_debug<P>, "ExitPolicy: missing `exit_verdict on_debug(debug_exit const&) noexcept`");
    static_assert(detail::exit_policy_on_unknown<P>, "ExitPolicy: missing `exit_verdict on_unknown(unknown_exit const&) noexcept`");
    return ExitPolicy<P>;
}

/// Ends the machine at the first exit of any kind: the smallest policy, and the archetype.
struct stop_on_all {
    static constexpr exit_verdict stop{exit_action::shutdown, guest_end::none};
    exit_verdict on_pio_in(pio_exit const&) noexcept { return stop; }
    exit_verdict on_pio_out(pio_exit const&) noexcept { return stop; }
    exit_verdict on_mmio_read(mmio_exit const&) noexcept { return stop; }
    exit_verdict on_mmio_write(mmio_exit const&) noexcept { return stop; }
    exit_verdict on_halt(halt_exit const&) noexcept { return stop; }
    exit_verdict on_shutdown(shutdown_exit const&) noexcept { return {exit_action::shutdown, guest_end::triple_fault}; }
    exit_verdict on_system_event(system_event_exit const&) noexcept { return stop; }
    exit_verdict on_fail_entry(fail_entry_exit const&) noexcept { return {exit_action::fatal, guest_end::none}; }
    exit_verdict on_internal_error(internal_error_exit const&) noexcept { return {exit_action::fatal, guest_end::none}; }
    exit_verdict on_debug(debug_exit const&) noexcept { return stop; }
    exit_verdict on_unknown(unknown_exit const&) noexcept { return stop; }
};
static_assert(ExitPolicy<stop_on_all>);

} // namespace ktstr
