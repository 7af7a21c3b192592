// SPDX-License-Identifier: Apache-2.0
/// \file
/// The `Parker` policy: how a thread that may write guest memory is stopped and let go. One object a thread.
///
/// Contract, all on that thread: `entering()` before it enters the guest (or waits for work), `returned()` after it came
/// back and before it touches guest memory: that call may sleep. `wanted()` says whether somebody wants it to stop; then,
/// with nothing of an exit left to complete, `park()` sleeps until it may go on, and with something left `settle()` sleeps
/// until completing it is allowed. `await()` sleeps until somebody wants it to stop, or the machine ends, or a bound
/// passed. `ended()` is the last call. `enabled` false: none of them does anything and none is compiled in.
/// Models: `never_parks`, `freeze_point` (freeze/rendezvous.hpp). Suite: tests/suites/parker_suite.hpp.
#pragma once

#include "ktstr/hv/exit_policy.hpp"

#include <concepts>

namespace ktstr {

namespace detail {
#define KTSTR_PARKER_HAS(name, type)                                                                                   \
    template <class P>                                                                                                 \
    concept parker_##name = requires(P& p) {                                                                           \
        { p.name() } noexcept -> std::same_as<type>;                                                                   \
    }
KTSTR_PARKER_HAS(entering, void);
KTSTR_PARKER_HAS(returned, void);
KTSTR_PARKER_HAS(wanted, bool);
KTSTR_PARKER_HAS(park, void);
KTSTR_PARKER_HAS(settle, void);
KTSTR_PARKER_HAS(await, void);
KTSTR_PARKER_HAS(ended, void);
#undef KTSTR_PARKER_HAS
template <class P>
concept parker_enabled = requires {
    { P::enabled } -> std::convertible_to<bool>;
};
} // namespace detail

/// A way to be stopped; see the contract at the top of this file.
template <class P>
concept Parker = detail::parker_enabled<P> && detail::parker_entering<P> && detail::parker_returned<P> &&
                 detail::parker_wanted<P> && detail::parker_park<P> && detail::parker_settle<P> &&
                 detail::parker_await<P> && detail::parker_ended<P>;

/// Fails to compile with one sentence per requirement that `P` misses.
template <class P>
consteval bool explain_parker() {
    static_assert(detail::parker_enabled<P>, "Parker: missing `static constexpr bool enabled`");
    static_assert(detail::parker_entering<P>, "Parker: missing `void entering() noexcept`");
    static_assert(detail::parker_returned<P>, "Parker: missing `void returned() noexcept`");
    static_assert(detail::parker_wanted<P>, "Parker: missing `bool wanted() noexcept`");
    static_assert(detail::parker_park<P>, "Parker: missing `void park() noexcept`");
    static_assert(detail::parker_settle<P>, "Parker: missing `void settle() noexcept`");
    static_assert(detail::parker_await<P>, "Parker: missing `void await() noexcept`");
    static_assert(detail::parker_ended<P>, "Parker: missing `void ended() noexcept`");
    return Parker<P>;
}

/// Runs without ever being stopped.
struct never_parks {
    static constexpr bool enabled = false;
    void entering() noexcept {}
    void returned() noexcept {}
    [[nodiscard]] bool wanted() noexcept { return false; }
    void park() noexcept {}
    void settle() noexcept {}
    void await() noexcept {}
    void ended() noexcept {}
};
static_assert(Parker<never_parks>);

/// Wraps an exit policy so that the parker hears of every exit before the policy can touch guest memory.
template <ExitPolicy Policy, Parker Park>
class parked_exits {
public:
    parked_exits(Policy& policy, Park& park) noexcept : policy_(policy), park_(park) {}

    exit_verdict on_pio_in(pio_exit const& e) noexcept { return park_.returned(), policy_.on_pio_in(e); }
    exit_verdict on_pio_out(pio_exit const& e) noexcept { return park_.returned(), policy_.on_pio_out(e); }
    exit_verdict on_mmio_read(mmio_exit const& e) noexcept { return park_.returned(), policy_.on_mmio_read(e); }
    exit_verdict on_mmio_write(mmio_exit const& e) noexcept { return park_.returned(), policy_.on_mmio_write(e); }
    exit_verdict on_halt(halt_exit const& e) noexcept { return park_.returned(), policy_.on_halt(e); }
    exit_verdict on_shutdown(shutdown_exit const& e) noexcept { return park_.returned(), policy_.on_shutdown(e); }
    exit_verdict on_system_event(system_event_exit const& e) noexcept { return park_.returned(), policy_.on_system_event(e); }
    exit_verdict on_fail_entry(fail_entry_exit const& e) noexcept { return park_.returned(), policy_.on_fail_entry(e); }
    exit_verdict on_internal_error(internal_error_exit const& e) noexcept { return park_.returned(), policy_.on_internal_error(e); }
    exit_verdict on_debug(debug_exit const& e) noexcept { return park_.returned(), policy_.on_debug(e); }
    exit_verdict on_unknown(unknown_exit const& e) noexcept { return park_.returned(), policy_.on_unknown(e); }

private:
    Policy& policy_;
    Park& park_;
};

} // namespace ktstr
