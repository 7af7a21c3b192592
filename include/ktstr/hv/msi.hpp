// SPDX-License-Identifier: Apache-2.0
/// \file
/// The `MsiSink` policy: where message-signalled interrupts go.
///
/// Contract: `send(message)` makes one interrupt as if a device had written `data` to `address`; from any thread, with the
/// device's own lock held, so it must not call back into the device; it never blocks for long and never fails in a way
/// that the device could repair. Address and data are the guest's: a sink takes any value.
/// Models: `null_msi`, `counting_msi` (tests), `kvm::msi_port` (kvm/x86_64/msi.hpp). Suite: tests/suites/msi_sink_suite.hpp.
#pragma once

#include <concepts>
#include <cstdint>

namespace ktstr {

/// One interrupt as the guest programmed it.
struct msi_message {
    std::uint64_t address = 0;
    std::uint32_t data = 0;
    friend constexpr bool operator==(msi_message const&, msi_message const&) noexcept = default;
};

namespace detail {
template <class S>
concept msi_sink_send = requires(S& sink, msi_message const& message) {
    { sink.send(message) } noexcept -> std::same_as<void>;
};
} // namespace detail

/// A way for message-signalled interrupts into a machine; see the contract at the top of this file.
template <class S>
concept MsiSink = detail::msi_sink_send<S>;

/// Fails to compile with one sentence per requirement that `S` misses.
template <class S>
consteval bool explain_msi_sink() {
    static_assert(detail::msi_sink_send<S>, "MsiSink: missing `void send(msi_message const&) noexcept`");
    return MsiSink<S>;
}

/// Interrupts nobody.
struct null_msi {
    void send(msi_message const&) noexcept {}
};
static_assert(MsiSink<null_msi>);

/// Counts and keeps the last message: the sink of unit tests.
struct counting_msi {
    std::uint64_t count = 0;
    msi_message last{};
    void send(msi_message const& message) noexcept {
        ++count;
        last = message;
    }
};
static_assert(MsiSink<counting_msi>);

} // namespace ktstr
