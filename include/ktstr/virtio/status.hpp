// SPDX-License-Identifier: Apache-2.0
/// \file
/// The device status field as a state machine: which step of its initialisation a driver may take next.
///
/// Source: VIRTIO 1.2 sections 2.1 and 3.1.1. The table below is printed in docs/state-machines/virtio-status.md.
#pragma once

#include "ktstr/abi/virtio.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace ktstr {

/// How far driver and device are.
enum class virtio_phase : std::uint8_t {
    reset,        ///< Nothing happened since power-on or reset.
    acknowledged, ///< The guest has seen the device.
    driver,       ///< A driver is there; features are being negotiated.
    features_ok,  ///< Features are fixed; queues are being set up.
    driver_ok,    ///< Live: queues are served.
    needs_reset,  ///< The device met something impossible and serves nothing until it is reset.
    failed,       ///< The driver gave up.
};
inline constexpr std::size_t virtio_phase_count = 7;

/// What happens to the status field.
enum class virtio_event : std::uint8_t {
    reset,             ///< The driver writes 0.
    acknowledge,       ///< The driver adds ACKNOWLEDGE.
    driver,            ///< The driver adds DRIVER.
    features_accepted, ///< The driver adds FEATURES_OK and its choice is acceptable.
    features_refused,  ///< The driver adds FEATURES_OK and its choice is not.
    driver_ok,         ///< The driver adds DRIVER_OK.
    fail,              ///< The driver adds FAILED.
    same,              ///< The driver writes what is there already.
    other,             ///< The driver clears a bit, adds two steps at once, or sets a reserved bit.
    fault,             ///< The device finds that the driver broke the protocol.
};
inline constexpr std::size_t virtio_event_count = 10;

namespace detail {
/// Rows: phases; columns: events, both in the order of their enumerations. Empty: the event changes nothing.
inline constexpr auto virtio_transitions = [] {
    using p = virtio_phase;
    using cell = std::optional<virtio_phase>;
    constexpr cell no{};
    return std::array<std::array<cell, virtio_event_count>, virtio_phase_count>{{
        // reset   acknowledge      driver      accepted        refused    driver_ok     fail       same             other fault
        {p::reset, p::acknowledged, no,         no,             no,        no,           p::failed, p::reset,        no,   no},
        {p::reset, no,              p::driver,  no,             no,        no,           p::failed, p::acknowledged, no,   p::needs_reset},
        {p::reset, no,              no,         p::features_ok, p::driver, no,           p::failed, p::driver,       no,   p::needs_reset},
        {p::reset, no,              no,         no,             no,        p::driver_ok, p::failed, p::features_ok,  no,   p::needs_reset},
        {p::reset, no,              no,         no,             no,        no,           p::failed, p::driver_ok,    no,   p::needs_reset},
        {p::reset, no,              no,         no,             no,        no,           p::failed, p::needs_reset,  no,   p::needs_reset},
        {p::reset, no,              no,         no,             no,        no,           no,        p::failed,       no,   p::failed},
    }};
}();
} // namespace detail

/// Where `event` leads from `phase`; nothing when the event is not allowed there and is to be ignored.
[[nodiscard]] constexpr std::optional<virtio_phase> next(virtio_phase phase, virtio_event event) noexcept {
    return detail::virtio_transitions[static_cast<std::size_t>(phase)][static_cast<std::size_t>(event)];
}

/// The phase that a status field shows. Values that `status_after` never gives count as the highest step they contain.
[[nodiscard]] constexpr virtio_phase phase_of(std::uint8_t status) noexcept {
    if ((status & virtio_status::failed) != 0)
        return virtio_phase::failed;
    if ((status & virtio_status::needs_reset) != 0)
        return virtio_phase::needs_reset;
    if ((status & virtio_status::driver_ok) != 0)
        return virtio_phase::driver_ok;
    if ((status & virtio_status::features_ok) != 0)
        return virtio_phase::features_ok;
    if ((status & virtio_status::driver) != 0)
        return virtio_phase::driver;
    return (status & virtio_status::acknowledge) != 0 ? virtio_phase::acknowledged : virtio_phase::reset;
}

/// What a driver means by writing `written` over `status`. NEEDS_RESET belongs to the device and is ignored in a write.
[[nodiscard]] constexpr virtio_event event_of(std::uint8_t status, std::uint8_t written, bool features_acceptable) noexcept {
    if (written == 0)
        return virtio_event::reset;
    auto const ours = static_cast<std::uint8_t>(~virtio_status::needs_reset);
    auto const kept = static_cast<std::uint8_t>(status & ours);
    if ((written & kept) != kept)
        return virtio_event::other;
    auto const added = static_cast<std::uint8_t>(written & ours & ~status);
    if (added == 0)
        return virtio_event::same;
    switch (added) {
    case virtio_status::acknowledge: return virtio_event::acknowledge;
    case virtio_status::driver: return virtio_event::driver;
    case virtio_status::features_ok:
        return features_acceptable ? virtio_event::features_accepted : virtio_event::features_refused;
    case virtio_status::driver_ok: return virtio_event::driver_ok;
    case virtio_status::failed: return virtio_event::fail;
    default: return virtio_event::other;
    }
}

/// The status field after `event`; unchanged when the event is not allowed.
[[nodiscard]] constexpr std::uint8_t status_after(std::uint8_t status, virtio_event event) noexcept {
    if (!next(phase_of(status), event))
        return status;
    auto const add = [status](std::uint8_t bit) { return static_cast<std::uint8_t>(status | bit); };
    switch (event) {
    case virtio_event::reset: return 0;
    case virtio_event::acknowledge: return add(virtio_status::acknowledge);
    case virtio_event::driver: return add(virtio_status::driver);
    case virtio_event::features_accepted: return add(virtio_status::features_ok);
    case virtio_event::driver_ok: return add(virtio_status::driver_ok);
    case virtio_event::fail: return add(virtio_status::failed);
    case virtio_event::fault: return add(virtio_status::needs_reset);
    case virtio_event::features_refused:
    case virtio_event::same:
    case virtio_event::other: break;
    }
    return status;
}

/// The name of a phase as the documentation spells it.
[[nodiscard]] constexpr std::string_view message(virtio_phase phase) noexcept {
    constexpr std::array<std::string_view, virtio_phase_count> names{
        "reset", "acknowledged", "driver", "features_ok", "driver_ok", "needs_reset", "failed"};
    auto const i = static_cast<std::size_t>(phase);
    return i < names.size() ? names[i] : std::string_view("unknown phase");
}

/// The name of an event as the documentation spells it.
[[nodiscard]] constexpr std::string_view message(virtio_event event) noexcept {
    constexpr std::array<std::string_view, virtio_event_count> names{
        "reset",     "acknowledge", "driver", "features_accepted", "features_refused",
        "driver_ok", "fail",        "same",   "other",             "fault"};
    auto const i = static_cast<std::size_t>(event);
    return i < names.size() ? names[i] : std::string_view("unknown event");
}

} // namespace ktstr
