// SPDX-License-Identifier: Apache-2.0
/// \file
/// The `VirtioDevice` policy: one type of virtio device, seen by any transport.
///
/// Contract: `core()` is the device's `virtio_core`, the same object for life. All other functions are called by the
/// transport with `core().lock()` held, from any thread, and never block. `offered_features()` is constant.
/// `on_driver_ok()` comes once the driver is set up, `on_notify(q)` (q < queue_count) while the device is live and
/// queue q may have new buffers, `on_reset()` before queues and status are cleared, in any phase: the last chance to
/// take what the driver left in a queue. Configuration accesses may have any offset and length; what lies outside
/// reads 0 and is not written. A device that finds the driver in the wrong calls `core().fault()`.
/// One notification serves the chains that wait when it begins and no more, so a guest that keeps adding cannot hold a
/// thread; drivers notify again for what they add, because we never suppress notifications.
/// Models: `null_device`, `virtio_console`. Suite: tests/suites/virtio_device_suite.hpp.
#pragma once

#include "ktstr/abi/virtio.hpp"
#include "ktstr/virtio/core.hpp"

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace ktstr {

namespace detail {
template <class D>
concept virtio_device_id_constant = requires {
    { D::device_id } -> std::convertible_to<std::uint32_t>;
};
template <class D>
concept virtio_device_core = requires(D& d) {
    { d.core().lock() } noexcept -> std::same_as<mutex&>;
    { d.core().queue(std::size_t{}) } noexcept -> std::same_as<virtio_queue&>;
    { std::remove_reference_t<decltype(d.core())>::queue_count } -> std::convertible_to<std::uint16_t>;
};
template <class D>
concept virtio_device_features = requires(D const& d) {
    { d.offered_features() } noexcept -> std::same_as<std::uint64_t>;
};
template <class D>
concept virtio_device_driver_ok = requires(D& d) {
    { d.on_driver_ok() } noexcept -> std::same_as<void>;
};
template <class D>
concept virtio_device_notify = requires(D& d, std::uint16_t queue) {
    { d.on_notify(queue) } noexcept -> std::same_as<void>;
};
template <class D>
concept virtio_device_reset = requires(D& d) {
    { d.on_reset() } noexcept -> std::same_as<void>;
};
template <class D>
concept virtio_device_read_config = requires(D& d, std::uint64_t offset, std::span<std::byte> data) {
    { d.read_config(offset, data) } noexcept -> std::same_as<void>;
};
template <class D>
concept virtio_device_write_config = requires(D& d, std::uint64_t offset, std::span<std::byte const> data) {
    { d.write_config(offset, data) } noexcept -> std::same_as<void>;
};
} // namespace detail

/// One type of virtio device; see the contract at the top of this file.
template <class D>
concept VirtioDevice =
    detail::virtio_device_id_constant<D> && detail::virtio_device_core<D> && detail::virtio_device_features<D> &&
    detail::virtio_device_driver_ok<D> && detail::virtio_device_notify<D> && detail::virtio_device_reset<D> &&
    detail::virtio_device_read_config<D> && detail::virtio_device_write_config<D>;

/// Fails to compile with one sentence per requirement that `D` misses.
template <class D>
consteval bool explain_virtio_device() {
    static_assert(detail::virtio_device_id_constant<D>, "VirtioDevice: missing `static constexpr uint32_t device_id`");
    static_assert(detail::virtio_device_core<D>, "VirtioDevice: missing `virtio_core<...>& core() noexcept`");
    static_assert(detail::virtio_device_features<D>,
                  "VirtioDevice: missing `uint64_t offered_features() const noexcept`");
    static_assert(detail::virtio_device_driver_ok<D>, "VirtioDevice: missing `void on_driver_ok() noexcept`");
    static_assert(detail::virtio_device_notify<D>, "VirtioDevice: missing `void on_notify(uint16_t) noexcept`");
    static_assert(detail::virtio_device_reset<D>, "VirtioDevice: missing `void on_reset() noexcept`");
    static_assert(detail::virtio_device_read_config<D>,
                  "VirtioDevice: missing `void read_config(uint64_t, span<byte>) noexcept`");
    static_assert(detail::virtio_device_write_config<D>,
                  "VirtioDevice: missing `void write_config(uint64_t, span<byte const>) noexcept`");
    return VirtioDevice<D>;
}

/// Half `which` (0: low, 1: high) of a 64-bit value that transports show in two; other halves are 0.
[[nodiscard]] constexpr std::uint32_t virtio_half(std::uint64_t value, std::uint32_t which) noexcept {
    return which > 1 ? 0 : static_cast<std::uint32_t>(value >> (32 * which));
}
/// `value` with its half `which` (0 or 1) replaced by `part`.
[[nodiscard]] constexpr std::uint64_t virtio_with_half(std::uint64_t value, std::uint32_t which,
                                                       std::uint32_t part) noexcept {
    auto const shift = 32 * which;
    return (value & ~(std::uint64_t{0xffffffff} << shift)) | std::uint64_t{part} << shift;
}

/// Takes a driver's write to the status field through the state machine. Lock held.
template <VirtioDevice Device>
void virtio_write_status(Device& device, std::uint8_t written) noexcept {
    auto& core = device.core();
    bool const acceptable = (core.driver_features() & ~device.offered_features()) == 0 &&
                            core.negotiated(virtio_feature::version_1);
    auto const event = event_of(core.status(), written, acceptable);
    if (event == virtio_event::reset)
        device.on_reset();
    bool const goes_live = event == virtio_event::driver_ok && next(core.phase(), event).has_value();
    core.apply(event);
    if (goes_live)
        device.on_driver_ok();
}

/// Makes queue `index` usable with the layout written so far; a layout that cannot be is a fault. Lock held.
template <VirtioDevice Device>
void virtio_enable_queue(Device& device, std::size_t index) noexcept {
    auto& core = device.core();
    auto& queue = core.queue(index);
    if (auto const done = queue.ring.enable(core.memory(), queue.layout, queue.max_size); !done)
        core.fault(done.error());
}

/// The driver says that queue `index` has new buffers. Numbers of queues that do not exist are ignored. Lock held.
template <VirtioDevice Device>
void virtio_notify(Device& device, std::uint32_t index) noexcept {
    if (index < device.core().queue_count && device.core().live())
        device.on_notify(static_cast<std::uint16_t>(index));
}

/// A device of a reserved type with one queue whose chains it returns unread: the archetype, and a stand-in in tests.
template <GuestMemory Memory = null_memory, IrqLine Irq = null_irq>
class null_device {
public:
    static constexpr std::uint32_t device_id = virtio_device_id::reserved;
    using core_type = virtio_core<Memory, Irq, 1>;

    explicit null_device(Memory const& memory, Irq irq = {}) noexcept : core_(memory, std::move(irq), {16}) {}

    [[nodiscard]] core_type& core() noexcept { return core_; }
    [[nodiscard]] std::uint64_t offered_features() const noexcept {
        return virtio_feature::version_1 | virtio_feature::indirect_desc;
    }
    void on_driver_ok() noexcept {}
    void on_reset() noexcept {}
    void on_notify(std::uint16_t queue) noexcept {
        auto& ring = core_.queue(queue).ring;
        auto const waiting = ring.waiting();
        if (!waiting)
            return core_.fault(waiting.error());
        for (unsigned left = *waiting; left > 0; --left) {
            auto const got = ring.pop(core_.memory(), chain_);
            if (!got)
                return core_.fault(got.error());
            ring.push(chain_.head(), 0);
        }
        if (*waiting > 0)
            core_.notify_used(queue);
    }
    void read_config(std::uint64_t, std::span<std::byte> data) noexcept {
        std::fill(data.begin(), data.end(), std::byte{0});
    }
    void write_config(std::uint64_t, std::span<std::byte const>) noexcept {}

private:
    core_type core_;
    descriptor_chain chain_;
};
static_assert(VirtioDevice<null_device<>>);

} // namespace ktstr
