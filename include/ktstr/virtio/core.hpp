// SPDX-License-Identifier: Apache-2.0
/// \file
/// What every virtio device keeps whatever its type and transport: lock, status, features, queues, interrupts.
#pragma once

#include "ktstr/abi/virtio.hpp"
#include "ktstr/abi/virtio_mmio.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/dev/irq_line.hpp"
#include "ktstr/mem/guest_memory.hpp"
#include "ktstr/sys/mutex.hpp"
#include "ktstr/virtio/queue.hpp"
#include "ktstr/virtio/status.hpp"

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace ktstr {

/// One queue as the transport configures it and the device uses it.
struct virtio_queue {
    std::uint16_t max_size = 0; ///< Most entries that the device offers; 0 = there is no such queue.
    virtq_layout layout{};      ///< As the driver wrote it so far.
    split_queue ring{};         ///< Enabled once the driver said that the layout is complete.
};

/// An interrupt line that wants to know why: per-queue vectors, as MSI-X has them. Where the line does not care, `pulse`
/// is all it gets.
template <class I>
concept CausedIrqLine = IrqLine<I> && requires(I& line, std::size_t queue) {
    { line.pulse_used(queue) } noexcept -> std::same_as<void>;
    { line.pulse_config() } noexcept -> std::same_as<void>;
};

/// The shared part of a virtio device. `lock()` guards everything else here and the device around it; every other
/// member function wants it held. Not movable.
template <GuestMemory Memory, IrqLine Irq, std::uint16_t QueueCount>
class virtio_core {
public:
    static constexpr std::uint16_t queue_count = QueueCount;

    /// `memory` is borrowed and must outlive this object. `max_sizes` are powers of two up to `virtq_max_size`.
    virtio_core(Memory const& memory, Irq irq, std::array<std::uint16_t, QueueCount> const& max_sizes) noexcept
        : memory_(memory), irq_(std::move(irq)) {
        for (std::size_t i = 0; i < QueueCount; ++i)
            queues_[i].max_size = max_sizes[i];
    }

    [[nodiscard]] mutex& lock() noexcept { return lock_; }
    [[nodiscard]] Memory const& memory() const noexcept { return memory_; }
    [[nodiscard]] Irq& irq() noexcept { return irq_; }

    [[nodiscard]] std::uint8_t status() const noexcept { return status_; }
    [[nodiscard]] virtio_phase phase() const noexcept { return phase_of(status_); }
    /// Whether queues are to be served.
    [[nodiscard]] bool live() const noexcept { return phase() == virtio_phase::driver_ok; }

    /// What the driver took of the offer so far; final once `phase()` reached features_ok.
    [[nodiscard]] std::uint64_t driver_features() const noexcept { return driver_features_; }
    [[nodiscard]] bool negotiated(std::uint64_t feature) const noexcept { return (driver_features_ & feature) != 0; }
    void set_driver_features(std::uint64_t features) noexcept { driver_features_ = features; }

    /// Queue `index`, which must be below `queue_count`.
    [[nodiscard]] virtio_queue& queue(std::size_t index) noexcept { return queues_[index]; }

    [[nodiscard]] std::uint32_t interrupt_status() const noexcept { return interrupt_; }
    void acknowledge_interrupt(std::uint32_t bits) noexcept { interrupt_ &= ~bits; }
    [[nodiscard]] std::uint32_t config_generation() const noexcept { return generation_; }

    /// Interrupts the driver for queue `index`, unless it asked not to be.
    void notify_used(std::size_t index) noexcept {
        if (!queues_[index].ring.wants_interrupt())
            return;
        interrupt_ |= virtio_interrupt::used_buffer;
        if constexpr (CausedIrqLine<Irq>)
            irq_.pulse_used(index);
        else
            irq_.pulse();
    }

    /// Tells the driver that the configuration space changed.
    void notify_config() noexcept {
        ++generation_;
        if (!live() && phase() != virtio_phase::needs_reset)
            return;
        interrupt_ |= virtio_interrupt::config_change;
        if constexpr (CausedIrqLine<Irq>)
            irq_.pulse_config();
        else
            irq_.pulse();
    }

    /// The driver broke the protocol: the device asks for a reset and serves nothing until it comes.
    void fault(error const& why) noexcept {
        ++faults_;
        last_fault_ = why;
        bool const was_live = live();
        status_ = status_after(status_, virtio_event::fault);
        if (was_live)
            notify_config();
    }
    /// How often `fault` was called, and why last (all zero when never).
    [[nodiscard]] std::uint64_t faults() const noexcept { return faults_; }
    [[nodiscard]] error const& last_fault() const noexcept { return last_fault_; }

    /// Applies a status write that the caller classified. For `virtio_write_status`.
    void apply(virtio_event event) noexcept {
        status_ = status_after(status_, event);
        if (event != virtio_event::reset)
            return;
        for (auto& q : queues_) {
            q.ring.disable();
            q.layout = {};
        }
        driver_features_ = 0;
        interrupt_ = 0;
    }

private:
    mutex lock_;
    Memory const& memory_;
    [[no_unique_address]] Irq irq_;
    std::array<virtio_queue, QueueCount> queues_{};
    std::uint64_t driver_features_ = 0;
    std::uint64_t faults_ = 0;
    error last_fault_{errc{}, 0, 0, {}};
    std::uint32_t interrupt_ = 0;
    std::uint32_t generation_ = 0;
    std::uint8_t status_ = 0;
};

} // namespace ktstr
