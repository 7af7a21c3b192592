// SPDX-License-Identifier: Apache-2.0
/// \file
/// One port of a virtio console: what it is, how far the guest is with it, and which control messages it is owed.
///
/// Source: VIRTIO 1.2 section 5.3.6.2; the driver's side is linux drivers/char/virtio_console.c.
#pragma once

#include "ktstr/abi/virtio_console.hpp"
#include "ktstr/virtio/console/byte_ring.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

namespace ktstr {

/// What a port is; fixed for its life.
struct console_port_options {
    std::string_view name{};             ///< What the guest sees in /sys/class/virtio-ports/*/name; a literal, at most 48 bytes.
    bool console = false;                ///< An hvc terminal; otherwise /dev/vportNpM.
    std::size_t input_capacity = 65536;  ///< Bytes that wait for the guest at most.
};

/// Messages from device to driver about one port, in the order in which they are due. Each is either owed or not, so
/// that however often a guest asks, what waits for it is bounded.
enum class console_notice : std::uint8_t { add, console, name, resize, open };
inline constexpr std::size_t console_notice_count = 5;

/// The longest name a port may have; longer ones are cut.
inline constexpr std::size_t console_name_max = 48;
/// The longest control message of ours.
inline constexpr std::size_t console_message_max = sizeof(virtio_console_control) + console_name_max;

/// A terminal's size; 0 × 0 = unknown.
struct console_size {
    std::uint16_t cols = 0;
    std::uint16_t rows = 0;
};

/// The state of one port. Guarded by the device's lock.
struct console_port {
    console_port_options options{};
    byte_ring input{};                     ///< From the host, not yet in a buffer of the guest.
    std::array<bool, console_notice_count> owed{};
    bool guest_ready = false;              ///< The driver set the port up.
    bool guest_open = false;               ///< Somebody in the guest has it open.
    bool host_open = true;                 ///< What we tell the guest about our end.
    std::uint64_t from_guest = 0;          ///< Bytes received.
    std::uint64_t to_guest = 0;            ///< Bytes delivered into buffers.

    void owe(console_notice notice) noexcept { owed[static_cast<std::size_t>(notice)] = true; }
    /// The next message that is due.
    [[nodiscard]] std::optional<console_notice> due() const noexcept {
        for (std::size_t i = 0; i < owed.size(); ++i) {
            if (owed[i])
                return static_cast<console_notice>(i);
        }
        return std::nullopt;
    }
    void settle(console_notice notice) noexcept { owed[static_cast<std::size_t>(notice)] = false; }
    /// Whether input may go to the guest. Linux drops what arrives at a port that nobody has open, except at a console.
    [[nodiscard]] bool takes_input() const noexcept { return options.console ? guest_ready : guest_open; }
};

/// Writes the control message `notice` about port `id` into `to` (at least `console_message_max` bytes); its length.
inline std::size_t encode_notice(console_notice notice, std::uint32_t id, console_port const& port, console_size size,
                                 std::span<std::byte> to) noexcept {
    auto const put = [&](virtio_console_event event, std::uint16_t value, std::span<std::byte const> tail) {
        virtio_console_control const head{id, static_cast<std::uint16_t>(event), value};
        std::memcpy(to.data(), &head, sizeof head);
        if (!tail.empty())
            std::memcpy(to.data() + sizeof head, tail.data(), tail.size());
        return sizeof head + tail.size();
    };
    switch (notice) {
    case console_notice::add: return put(virtio_console_event::device_add, 1, {});
    case console_notice::console: return put(virtio_console_event::console_port, 1, {});
    case console_notice::name: {
        auto const name = port.options.name.substr(0, console_name_max);
        return put(virtio_console_event::port_name, 1, std::as_bytes(std::span(name)));
    }
    case console_notice::resize: {
        virtio_console_resize const tail{size.cols, size.rows};
        return put(virtio_console_event::resize, 1, std::as_bytes(std::span(&tail, 1)));
    }
    case console_notice::open: return put(virtio_console_event::port_open, port.host_open ? 1 : 0, {});
    }
    return 0;
}

} // namespace ktstr
