// SPDX-License-Identifier: Apache-2.0
/// \file
/// The `PortHost` policy: the host's end of a virtio console's ports.
///
/// Contract: `on_output(port, data)` gets what the guest wrote, in order; the bytes are a private copy, valid during the
/// call. `on_open(port, open)` says that the guest opened or closed its end; a device reset closes. Both are called with
/// the device's lock held, from the thread that noticed (a vCPU or the I/O thread), so they must be short, must not
/// block, must not grow without bound and must not call the device: a reply is pushed later or from another thread.
///
/// A `PacedPortHost` also has `ready_for(port)`: while false, output of that port stays with the guest, whose writers
/// wait. After it turned true somebody calls `resume_output(port)`. Console ports are never paced, because Linux spins
/// until a console takes its output.
/// Models: `null_port_host`. Suite: tests/suites/port_host_suite.hpp.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ktstr {

namespace detail {
template <class H>
concept port_host_output = requires(H& h, std::uint32_t port, std::span<std::byte const> data) {
    { h.on_output(port, data) } noexcept -> std::same_as<void>;
};
template <class H>
concept port_host_open = requires(H& h, std::uint32_t port, bool open) {
    { h.on_open(port, open) } noexcept -> std::same_as<void>;
};
template <class H>
concept port_host_ready = requires(H& h, std::uint32_t port) {
    { h.ready_for(port) } noexcept -> std::same_as<bool>;
};
} // namespace detail

/// A receiver of port output; see the contract at the top of this file.
template <class H>
concept PortHost = detail::port_host_output<H> && detail::port_host_open<H>;

/// A `PortHost` that can ask the guest to wait.
template <class H>
concept PacedPortHost = PortHost<H> && detail::port_host_ready<H>;

/// Fails to compile with one sentence per requirement that `H` misses.
template <class H>
consteval bool explain_port_host() {
    static_assert(detail::port_host_output<H>,
                  "PortHost: missing `void on_output(uint32_t, span<byte const>) noexcept`");
    static_assert(detail::port_host_open<H>, "PortHost: missing `void on_open(uint32_t, bool) noexcept`");
    return PortHost<H>;
}

/// Drops all output.
struct null_port_host {
    void on_output(std::uint32_t, std::span<std::byte const>) noexcept {}
    void on_open(std::uint32_t, bool) noexcept {}
};
static_assert(PortHost<null_port_host>);

} // namespace ktstr
