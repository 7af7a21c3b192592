// SPDX-License-Identifier: Apache-2.0
/// \file
/// The `SnapshotMode` policy: one snapshot at a scheduler's death, or also an early one from before it; with their states.
///
/// Contract: a type without objects. `dual`; enumerations `state` and `event` (dense from 0); `table`, rows states, columns
/// events, an empty cell where the event is not allowed and changes nothing; `trigger_type`, the variant of causes that
/// such a machine can have (freeze/trigger.hpp).
/// Models: `single_snapshot`, whose state has no `took_early` and whose events and triggers know nothing of an early
/// snapshot, and `dual_snapshot`. docs/state-machines/freeze.md is made from these tables.
/// Suite: tests/suites/snapshot_mode_suite.hpp.
#pragma once

#include "ktstr/freeze/trigger.hpp"

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

namespace ktstr {

/// One snapshot: the machine as it is when the scheduler has died.
struct single_snapshot {
    static constexpr bool dual = false;
    enum class state : std::uint8_t {
        idle, ///< Nothing happened yet.
        done, ///< The late trigger has been answered.
    };
    enum class event : std::uint8_t {
        late_captured,   ///< The error exit was captured.
        late_degraded,   ///< The error exit gave less than a whole snapshot.
        late_suppressed, ///< What looked like an error exit was a clean one.
        run_ended,       ///< The machine is over.
    };
    static constexpr std::array<std::string_view, 2> state_names{"idle", "done"};
    static constexpr std::array<std::string_view, 4> event_names{"late_captured", "late_degraded", "late_suppressed", "run_ended"};
    using cell = std::optional<state>;
    static constexpr std::array<std::array<cell, 4>, 2> table{{
        // late_captured, late_degraded, late_suppressed, run_ended
        {state::done, state::done, state::done, state::idle},
        {cell{}, cell{}, cell{}, state::done},
    }};
    using trigger_type = std::variant<error_exit, guest_request, watch_hit, periodic_due, host_call>;
};

/// Two snapshots: one when the first task has waited for half the watchdog's time, one at the death.
struct dual_snapshot {
    static constexpr bool dual = true;
    enum class state : std::uint8_t {
        idle,       ///< Nothing happened yet.
        took_early, ///< The early trigger has been answered; its snapshot, if there is one, is held until the end.
        done,       ///< The late trigger has been answered.
    };
    enum class event : std::uint8_t {
        early,           ///< The early trigger was answered, with whatever outcome.
        late_captured,   ///< As in `single_snapshot`.
        late_degraded,   ///< "
        late_suppressed, ///< "
        run_ended,       ///< "
    };
    static constexpr std::array<std::string_view, 3> state_names{"idle", "took_early", "done"};
    static constexpr std::array<std::string_view, 5> event_names{"early", "late_captured", "late_degraded", "late_suppressed",
                                                                 "run_ended"};
    using cell = std::optional<state>;
    static constexpr std::array<std::array<cell, 5>, 3> table{{
        // early, late_captured, late_degraded, late_suppressed, run_ended
        {state::took_early, state::done, state::done, state::done, state::idle},
        {cell{}, state::done, state::done, state::done, state::took_early},
        {cell{}, cell{}, cell{}, cell{}, state::done},
    }};
    using trigger_type = std::variant<error_exit, early_age, guest_request, watch_hit, periodic_due, host_call>;
};

/// See the contract at the top of this file.
template <class M>
concept SnapshotMode = requires(typename M::state s, typename M::event e) {
    { M::dual } -> std::convertible_to<bool>;
    { M::table[0][0] } -> std::convertible_to<std::optional<typename M::state>>;
    { M::state_names[0] } -> std::convertible_to<std::string_view>;
    { M::event_names[0] } -> std::convertible_to<std::string_view>;
    typename M::trigger_type;
};
static_assert(SnapshotMode<single_snapshot> && SnapshotMode<dual_snapshot>);

/// Fails to compile with one sentence when `M` is no SnapshotMode.
template <class M>
consteval bool explain_snapshot_mode() {
    static_assert(SnapshotMode<M>, "SnapshotMode: missing `dual`, `state`, `event`, `table`, their names, or `trigger_type`");
    return SnapshotMode<M>;
}

/// Whether `M` has the state that only two snapshots need.
template <class M>
concept has_took_early = requires { M::state::took_early; };
static_assert(!has_took_early<single_snapshot> && has_took_early<dual_snapshot>);

} // namespace ktstr
