// SPDX-License-Identifier: Apache-2.0
/// \file
/// Steps of the capture state machine, looked up in the mode's table.
#pragma once

#include "ktstr/freeze/state.hpp"

#include <cstddef>
#include <optional>
#include <string_view>

namespace ktstr {

/// How many states and events mode `M` has.
template <SnapshotMode M>
inline constexpr std::size_t freeze_states = M::table.size();
template <SnapshotMode M>
inline constexpr std::size_t freeze_events = M::table[0].size();

/// Where `e` leads from `s`; nothing when it is not allowed there. Values outside the enumerations are not allowed either.
template <SnapshotMode M>
[[nodiscard]] constexpr std::optional<typename M::state> next(typename M::state s, typename M::event e) noexcept {
    auto const row = static_cast<std::size_t>(s);
    auto const column = static_cast<std::size_t>(e);
    if (row >= freeze_states<M> || column >= freeze_events<M>)
        return std::nullopt;
    return M::table[row][column];
}

/// The name of a state, as in reports.
template <SnapshotMode M>
[[nodiscard]] constexpr std::string_view state_name(typename M::state s) noexcept {
    auto const i = static_cast<std::size_t>(s);
    return i < M::state_names.size() ? M::state_names[i] : std::string_view("unknown state");
}

/// The name of an event, as in reports.
template <SnapshotMode M>
[[nodiscard]] constexpr std::string_view event_name(typename M::event e) noexcept {
    auto const i = static_cast<std::size_t>(e);
    return i < M::event_names.size() ? M::event_names[i] : std::string_view("unknown event");
}

} // namespace ktstr
