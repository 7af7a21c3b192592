// SPDX-License-Identifier: Apache-2.0
/// \file
/// The `IrqLine` policy: how a device interrupts its guest.
///
/// Contract: `pulse()` makes one edge on the line; it may be called from any thread, never blocks and never fails in a
/// way that the device could repair. Edges that meet before the guest looks may merge into one. A device calls it with
/// its own lock held, so a model must not call back into the device.
/// Models: `null_irq`, `counting_irq` (tests), `eventfd_irq` (an irqfd), `virtio_msix_irq` (virtio/msix_irq.hpp). Suite: tests/suites/irq_line_suite.hpp.
#pragma once

#include "ktstr/sys/fd.hpp"

#include <concepts>
#include <cstdint>
#include <unistd.h>
#include <utility>

namespace ktstr {

namespace detail {
template <class I>
concept irq_line_pulse = requires(I& line) {
    { line.pulse() } noexcept -> std::same_as<void>;
};
} // namespace detail

/// An edge-triggered interrupt line; see the contract at the top of this file.
template <class I>
concept IrqLine = detail::irq_line_pulse<I>;

/// Fails to compile with one sentence per requirement that `I` misses.
template <class I>
consteval bool explain_irq_line() {
    static_assert(detail::irq_line_pulse<I>, "IrqLine: missing `void pulse() noexcept`");
    return IrqLine<I>;
}

/// A line that ends nowhere: for devices whose driver polls.
struct null_irq {
    void pulse() noexcept {}
};
static_assert(IrqLine<null_irq>);

/// Counts edges: the line of unit tests.
struct counting_irq {
    std::uint64_t count = 0; ///< Edges so far; read it from the thread that drives the device.
    void pulse() noexcept { ++count; }
};
static_assert(IrqLine<counting_irq>);

/// Adds 1 to an eventfd that the hypervisor turned into an interrupt source (KVM_IRQFD without resample).
class eventfd_irq {
public:
    eventfd_irq() noexcept = default;
    /// Takes ownership of `fd`, a non-blocking eventfd. Register `fd()` as irqfd before the guest runs.
    explicit eventfd_irq(unique_fd fd) noexcept : fd_(std::move(fd)) {}

    /// The eventfd, owned by this object; -1 when default-made.
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    /// One edge. The only failure, a full counter, means that 2^64-2 edges wait already.
    void pulse() noexcept {
        std::uint64_t const one = 1;
        [[maybe_unused]] auto const ignored = ::write(fd_.get(), &one, sizeof one);
    }

private:
    unique_fd fd_;
};
static_assert(IrqLine<eventfd_irq>);

} // namespace ktstr
