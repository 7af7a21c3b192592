// SPDX-License-Identifier: Apache-2.0
/// \file
/// The virtio-mmio transport, version 2: registers in a window of guest physical memory.
///
/// Source: VIRTIO 1.2 section 4.2; the driver's order of accesses is in linux drivers/virtio/virtio_mmio.c.
#pragma once

#include "ktstr/abi/virtio_mmio.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/dev/bus_device.hpp"
#include "ktstr/sys/mutex.hpp"
#include "ktstr/virtio/device.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>

namespace ktstr {

/// Puts `Device` (borrowed) behind a window of `virtio_mmio_window` bytes. Thread-safe: it takes the device's lock.
///
/// Registers answer aligned 32-bit accesses; any other access to them reads 0 and writes nothing. Queues are configured
/// between FEATURES_OK and DRIVER_OK only, features between DRIVER and FEATURES_OK only: a write at another time is
/// ignored. Configuration space takes any width.
template <VirtioDevice Device>
class virtio_mmio {
    static_assert(explain_virtio_device<Device>());

public:
    static constexpr std::uint64_t window = virtio_mmio_window;
    static constexpr std::uint32_t vendor = 0x5254534b; ///< "KSTR"

    explicit virtio_mmio(Device& device) noexcept : device_(device) {}

    [[nodiscard]] Device& device() noexcept { return device_; }
    /// How many queues there are: one ioeventfd each, at `virtio_mmio_notify`, 4 bytes, matching the queue's number.
    [[nodiscard]] static constexpr std::uint16_t queue_count() noexcept {
        return std::remove_reference_t<decltype(std::declval<Device&>().core())>::queue_count;
    }
    /// What a write of `index` to queue_notify does; for the thread that serves the queue's ioeventfd.
    void queue_notify(std::uint32_t index) noexcept {
        mutex_guard const hold(device_.core().lock());
        virtio_notify(device_, index);
    }

    void read(std::uint64_t offset, std::span<std::byte> data) noexcept {
        mutex_guard const hold(device_.core().lock());
        if (offset >= virtio_mmio_config)
            return device_.read_config(offset - virtio_mmio_config, data);
        std::fill(data.begin(), data.end(), std::byte{0});
        if (data.size() != sizeof(std::uint32_t) || offset % sizeof(std::uint32_t) != 0)
            return;
        le32 const value = read_register(static_cast<virtio_mmio_reg>(offset));
        std::memcpy(data.data(), &value, sizeof value);
    }

    device_effect write(std::uint64_t offset, std::span<std::byte const> data) noexcept {
        mutex_guard const hold(device_.core().lock());
        if (offset >= virtio_mmio_config) {
            device_.write_config(offset - virtio_mmio_config, data);
        } else if (data.size() == sizeof(std::uint32_t) && offset % sizeof(std::uint32_t) == 0) {
            le32 value;
            std::memcpy(&value, data.data(), sizeof value);
            write_register(static_cast<virtio_mmio_reg>(offset), value);
        }
        return device_effect::none;
    }

private:
    /// The queue that queue_sel names, if there is one.
    [[nodiscard]] virtio_queue* selected() noexcept {
        return queue_sel_ < queue_count() ? &device_.core().queue(queue_sel_) : nullptr;
    }

    [[nodiscard]] std::uint32_t read_register(virtio_mmio_reg reg) noexcept {
        auto& core = device_.core();
        auto const* const queue = selected();
        switch (reg) {
        case virtio_mmio_reg::magic: return virtio_mmio_magic;
        case virtio_mmio_reg::version: return virtio_mmio_version;
        case virtio_mmio_reg::device_id: return Device::device_id;
        case virtio_mmio_reg::vendor_id: return vendor;
        case virtio_mmio_reg::device_features: return virtio_half(device_.offered_features(), device_features_sel_);
        case virtio_mmio_reg::queue_num_max: return queue != nullptr ? queue->max_size : 0u;
        case virtio_mmio_reg::queue_ready: return queue != nullptr && queue->ring.enabled() ? 1u : 0u;
        case virtio_mmio_reg::interrupt_status: return core.interrupt_status();
        case virtio_mmio_reg::status: return core.status();
        case virtio_mmio_reg::shm_len_low:
        case virtio_mmio_reg::shm_len_high:
        case virtio_mmio_reg::shm_base_low:
        case virtio_mmio_reg::shm_base_high: return ~0u; // length -1: no such region
        case virtio_mmio_reg::config_generation: return core.config_generation();
        default: return 0; // write-only, RING_RESET (not offered) and holes
        }
    }

    void write_register(virtio_mmio_reg reg, std::uint32_t value) noexcept {
        auto& core = device_.core();
        switch (reg) {
        case virtio_mmio_reg::device_features_sel: device_features_sel_ = value; return;
        case virtio_mmio_reg::driver_features_sel: driver_features_sel_ = value; return;
        case virtio_mmio_reg::driver_features:
            if (core.phase() != virtio_phase::driver)
                return;
            if (driver_features_sel_ <= 1)
                core.set_driver_features(virtio_with_half(core.driver_features(), driver_features_sel_, value));
            return;
        case virtio_mmio_reg::queue_sel: queue_sel_ = value; return;
        case virtio_mmio_reg::queue_notify: return virtio_notify(device_, value);
        case virtio_mmio_reg::interrupt_ack: return core.acknowledge_interrupt(value);
        case virtio_mmio_reg::status:
            // Bits beyond the field are reserved; cutting them off could turn nonsense into a reset.
            if (value <= 0xff)
                virtio_write_status(device_, static_cast<std::uint8_t>(value));
            return;
        default: return write_queue_register(reg, value);
        }
    }

    void write_queue_register(virtio_mmio_reg reg, std::uint32_t value) noexcept {
        auto& core = device_.core();
        auto* const queue = selected();
        if (queue == nullptr)
            return;
        if (reg == virtio_mmio_reg::queue_ready && value == 0)
            return queue->ring.disable();
        if (core.phase() != virtio_phase::features_ok || queue->ring.enabled())
            return;
        auto& layout = queue->layout;
        auto const set = [value](gpa& at, std::uint32_t which) { at = gpa{virtio_with_half(at.raw, which, value)}; };
        switch (reg) {
        case virtio_mmio_reg::queue_num:
            // A size beyond 16 bits must not turn into a valid one.
            layout.size = value <= 0xffff ? static_cast<std::uint16_t>(value) : std::uint16_t{0};
            return;
        case virtio_mmio_reg::queue_ready: return virtio_enable_queue(device_, queue_sel_);
        case virtio_mmio_reg::queue_desc_low: return set(layout.desc, 0);
        case virtio_mmio_reg::queue_desc_high: return set(layout.desc, 1);
        case virtio_mmio_reg::queue_driver_low: return set(layout.avail, 0);
        case virtio_mmio_reg::queue_driver_high: return set(layout.avail, 1);
        case virtio_mmio_reg::queue_device_low: return set(layout.used, 0);
        case virtio_mmio_reg::queue_device_high: return set(layout.used, 1);
        default: return; // read-only, shared memory, RING_RESET and holes
        }
    }

    Device& device_;
    std::uint32_t device_features_sel_ = 0;
    std::uint32_t driver_features_sel_ = 0;
    std::uint32_t queue_sel_ = 0;
};

} // namespace ktstr
