// SPDX-License-Identifier: Apache-2.0
/// \file
/// One message of any type: whole frames in, values out.
#pragma once

#include "ktstr/wire/codec.hpp"
#include "ktstr/wire/frame.hpp"
#include "ktstr/wire/messages.hpp"

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace ktstr::wire {

/// What the guest sends.
using guest_message =
    std::variant<hello, phase, output, topology_report, worker_report, cgroup_report, kernel_log, scheduler_state,
                 scenario_start, scenario_end, agent_error, crash, exit_message, progress, kernel_note,
                 snapshot_request>;
/// What the host sends.
using host_message = std::variant<go, stop_request, stdin_data, window_size, heartbeat_reply, snapshot_reply>;

namespace detail {
template <class Variant, std::size_t I = 0>
result<Variant> decode_alternative(frame_view const& frame) {
    if constexpr (I == std::variant_size_v<Variant>) {
        return fail(errc::unsupported, "wire.message.type", frame.type);
    } else {
        using message = std::variant_alternative_t<I, Variant>;
        if (frame.type != static_cast<std::uint16_t>(message::type))
            return decode_alternative<Variant, I + 1>(frame);
        KTSTR_TRY(auto value, decode_value<message>(frame.payload, "wire.message"));
        return Variant(std::in_place_index<I>, std::move(value));
    }
}
} // namespace detail

/// The guest's message in `frame`. `errc::unsupported` with the type number for a type the guest does not send;
/// otherwise the codec's errors with the offset in the payload.
[[nodiscard]] inline result<guest_message> decode_guest_message(frame_view const& frame) {
    return detail::decode_alternative<guest_message>(frame);
}

/// The host's message in `frame`; errors as above.
[[nodiscard]] inline result<host_message> decode_host_message(frame_view const& frame) {
    return detail::decode_alternative<host_message>(frame);
}

/// Appends one frame with `message` to `out`. The payload must fit `max_payload`: split long output before.
template <class Message>
void encode_message(Message const& message, std::uint32_t sequence, std::vector<std::byte>& out) {
    auto const payload = encode_value(message);
    append_frame(out, static_cast<std::uint16_t>(Message::type), sequence, payload);
}

} // namespace ktstr::wire
