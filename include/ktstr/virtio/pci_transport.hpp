// SPDX-License-Identifier: Apache-2.0
/// \file
/// The virtio-pci transport for modern drivers: one function with one memory BAR and MSI-X.
///
/// Source: VIRTIO 1.2 section 4.1; the driver's order of accesses is in linux drivers/virtio/virtio_pci_modern.c.
#pragma once

#include "ktstr/abi/pci.hpp"
#include "ktstr/abi/virtio_pci.hpp"
#include "ktstr/base/checked.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/dev/pci/config_space.hpp"
#include "ktstr/dev/pci/function.hpp"
#include "ktstr/sys/mutex.hpp"
#include "ktstr/virtio/device.hpp"
#include "ktstr/virtio/msix_irq.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>

namespace ktstr {

/// Where things are in the BAR; each on a page of its own.
namespace virtio_pci_bar {
inline constexpr std::uint32_t common = 0x0000;
inline constexpr std::uint32_t isr = 0x1000;
inline constexpr std::uint32_t device = 0x2000;
inline constexpr std::uint32_t notify = 0x3000;
inline constexpr std::uint32_t msix = 0x4000;
inline constexpr std::uint32_t pending = 0x5000;
inline constexpr std::uint32_t size = 0x8000;
inline constexpr std::uint32_t page = 0x1000;
inline constexpr std::uint32_t notify_step = 4; ///< Bytes from one queue's doorbell to the next one's.
} // namespace virtio_pci_bar

/// Puts `Device` (borrowed), whose interrupt line is a `virtio_msix_irq`, behind a PCI function. Thread-safe: it takes the
/// device's lock. There is no INTx: a driver without MSI-X has to poll.
///
/// Fields answer accesses of their own width; any other access to them reads 0 and writes nothing. Queues are configured
/// between FEATURES_OK and DRIVER_OK only, features between DRIVER and FEATURES_OK only. The BAR follows the guest;
/// notifications are taken at its place whether by exit or, where it was at the start, by an ioeventfd.
template <VirtioDevice Device>
class virtio_pci {
    static_assert(explain_virtio_device<Device>());
    using core_type = std::remove_reference_t<decltype(std::declval<Device&>().core())>;

public:
    /// `bar` is where the BAR begins before the guest moves it; a multiple of its size, below 4 GiB.
    virtio_pci(Device& device, gpa bar) noexcept : device_(device) {
        static_assert(queue_count() <= std::remove_reference_t<decltype(device.core().irq())>::queues);
        describe(static_cast<std::uint32_t>(bar.raw));
    }

    [[nodiscard]] Device& device() noexcept { return device_; }
    [[nodiscard]] static constexpr std::uint16_t queue_count() noexcept { return core_type::queue_count; }
    /// Where a write of 2 bytes notifies queue `index`, from the BAR's begin on.
    [[nodiscard]] static constexpr std::uint64_t notify_offset(std::uint16_t index) noexcept {
        return virtio_pci_bar::notify + std::uint64_t{index} * virtio_pci_bar::notify_step;
    }
    /// What a write to the doorbell of queue `index` does; for the thread that serves the queue's ioeventfd.
    void queue_notify(std::uint32_t index) noexcept {
        mutex_guard const hold(device_.core().lock());
        virtio_notify(device_, index);
    }

    void config_read(std::uint32_t offset, std::span<std::byte> data) noexcept {
        mutex_guard const hold(device_.core().lock());
        if (offset == access_data)
            through_window([&](std::uint64_t at, std::size_t length) {
                std::array<std::byte, 4> value{};
                bar_read(at, std::span(value).first(length));
                space_.set(access_data, std::bit_cast<std::uint32_t>(value), ~std::uint32_t{0});
            });
        space_.read(offset, data);
    }
    void config_write(std::uint32_t offset, std::span<std::byte const> data) noexcept {
        mutex_guard const hold(device_.core().lock());
        space_.write(offset, data);
        if (offset == access_data)
            through_window([&](std::uint64_t at, std::size_t length) {
                auto const value = std::bit_cast<std::array<std::byte, 4>>(space_.get<std::uint32_t>(access_data));
                bar_write(at, std::span(value).first(length));
            });
        auto& table = device_.core().irq().table();
        auto const control = space_.get<std::uint16_t>(msix_cap + pci::msix_control);
        if (control != table.control())
            table.set_control(control);
    }

    bool memory_read(std::uint64_t address, std::span<std::byte> data) noexcept {
        mutex_guard const hold(device_.core().lock());
        if (!decodes(address, data.size()))
            return false;
        bar_read(address - bar(), data);
        return true;
    }
    bool memory_write(std::uint64_t address, std::span<std::byte const> data) noexcept {
        mutex_guard const hold(device_.core().lock());
        if (!decodes(address, data.size()))
            return false;
        bar_write(address - bar(), data);
        return true;
    }

private:
    // Capabilities, one after the other.
    static constexpr std::uint32_t common_cap = 0x40;
    static constexpr std::uint32_t notify_cap = 0x50; ///< 20 bytes
    static constexpr std::uint32_t isr_cap = 0x64;
    static constexpr std::uint32_t device_cap = 0x74;
    static constexpr std::uint32_t access_cap = 0x84; ///< 20 bytes
    static constexpr std::uint32_t access_data = access_cap + sizeof(virtio_pci_cap);
    static constexpr std::uint32_t msix_cap = 0x98;

    void describe(std::uint32_t bar) noexcept {
        auto const id = static_cast<std::uint16_t>(virtio_pci_first_device + Device::device_id);
        space_.set(pci::reg::vendor, virtio_pci_vendor);
        space_.set(pci::reg::device, id);
        space_.set(pci::reg::command, std::uint16_t{0},
                   static_cast<std::uint16_t>(pci::command_memory | pci::command_master | pci::command_no_intx));
        space_.set(pci::reg::status, pci::status_capabilities);
        space_.set(pci::reg::revision, virtio_pci_revision);
        // A class that no driver claims by itself: virtio is found by its ids.
        space_.set(pci::reg::class_code + 2, std::uint8_t{0xff});
        space_.set(pci::reg::bar0, bar, ~(virtio_pci_bar::size - 1));
        space_.set(pci::reg::subsystem_vendor, virtio_pci_vendor);
        space_.set(pci::reg::subsystem, id);
        space_.set(pci::reg::capabilities, std::uint8_t{common_cap});
        using type = virtio_pci_cap_type;
        capability(common_cap, notify_cap, type::common, virtio_pci_bar::common, virtio_pci_common_size);
        capability(notify_cap, isr_cap, type::notify, virtio_pci_bar::notify, queue_count() * virtio_pci_bar::notify_step, 4);
        space_.set(notify_cap + sizeof(virtio_pci_cap), virtio_pci_bar::notify_step);
        capability(isr_cap, device_cap, type::isr, virtio_pci_bar::isr, 1);
        capability(device_cap, access_cap, type::device, virtio_pci_bar::device, virtio_pci_bar::page);
        capability(access_cap, msix_cap, type::access, 0, 0, 4);
        // The guest aims the window: BAR, offset, length; and its data.
        space_.set(access_cap + offsetof(virtio_pci_cap, bar), std::uint8_t{0}, std::uint8_t{0xff});
        for (auto const field : {access_cap + 8, access_cap + 12, access_data})
            space_.set(field, std::uint32_t{0}, ~std::uint32_t{0});
        space_.set(msix_cap, pci::capability_msix);
        space_.set(msix_cap + pci::msix_control, device_.core().irq().table().control(),
                   static_cast<std::uint16_t>(pci::msix_enable | pci::msix_function_mask));
        space_.set(msix_cap + pci::msix_table, virtio_pci_bar::msix);
        space_.set(msix_cap + pci::msix_pending, virtio_pci_bar::pending);
    }
    void capability(std::uint32_t at, std::uint32_t next, virtio_pci_cap_type type, std::uint32_t offset,
                    std::uint32_t length, std::uint32_t more = 0) noexcept {
        virtio_pci_cap cap;
        cap.next = static_cast<std::uint8_t>(next);
        cap.size = static_cast<std::uint8_t>(sizeof cap + more);
        cap.type = type;
        cap.offset = offset;
        cap.length = length;
        auto const raw = std::bit_cast<std::array<std::uint8_t, sizeof cap>>(cap);
        for (std::uint32_t i = 0; i < raw.size(); ++i)
            space_.set(at + i, raw[i]);
    }

    [[nodiscard]] std::uint32_t bar() const noexcept { return space_.get<std::uint32_t>(pci::reg::bar0); }
    [[nodiscard]] bool decodes(std::uint64_t address, std::size_t length) const noexcept {
        return (space_.get<std::uint16_t>(pci::reg::command) & pci::command_memory) != 0 && address >= bar() &&
               fits(address - bar(), length, virtio_pci_bar::size);
    }
    /// Calls `use(offset, length)` for the access that the window in configuration space is aimed at, if it is one.
    template <class Use>
    void through_window(Use use) noexcept {
        auto const at = space_.get<std::uint32_t>(access_cap + 8);
        auto const length = space_.get<std::uint32_t>(access_cap + 12);
        bool const sound = space_.get<std::uint8_t>(access_cap + 4) == 0 && (length == 1 || length == 2 || length == 4) &&
                           at % length == 0 && fits(at, length, virtio_pci_bar::size);
        if (sound)
            use(std::uint64_t{at}, std::size_t{length});
    }

    void bar_read(std::uint64_t offset, std::span<std::byte> data) noexcept {
        namespace at = virtio_pci_bar;
        std::fill(data.begin(), data.end(), std::byte{0});
        auto& core = device_.core();
        auto const within = offset % at::page;
        switch (offset - within) {
        case at::common:
            if (!data.empty() && data.size() == virtio_pci_field_width(offset)) {
                le32 const value{read_field(static_cast<virtio_pci_reg>(offset))};
                std::memcpy(data.data(), &value, data.size());
            }
            return;
        case at::isr:
            if (within == 0 && !data.empty()) {
                data[0] = static_cast<std::byte>(core.interrupt_status());
                core.acknowledge_interrupt(~std::uint32_t{0}); // reading clears
            }
            return;
        case at::device: return device_.read_config(within, data);
        case at::msix: return core.irq().table().read(within, data);
        case at::pending: return core.irq().table().read_pending(within, data);
        default: return;
        }
    }
    void bar_write(std::uint64_t offset, std::span<std::byte const> data) noexcept {
        namespace at = virtio_pci_bar;
        auto const within = offset % at::page;
        switch (offset - within) {
        case at::common:
            if (!data.empty() && data.size() == virtio_pci_field_width(offset)) {
                le32 value{};
                std::memcpy(&value, data.data(), data.size());
                write_field(static_cast<virtio_pci_reg>(offset), value);
            }
            return;
        case at::device: return device_.write_config(within, data);
        case at::notify: // the place says which queue; the value says the same
            if (within % at::notify_step == 0)
                virtio_notify(device_, static_cast<std::uint32_t>(within / at::notify_step));
            return;
        case at::msix: return device_.core().irq().table().write(within, data);
        default: return;
        }
    }

    [[nodiscard]] virtio_queue* selected() noexcept {
        return queue_sel_ < queue_count() ? &device_.core().queue(queue_sel_) : nullptr;
    }

    [[nodiscard]] std::uint32_t read_field(virtio_pci_reg reg) noexcept {
        auto& core = device_.core();
        auto const* const queue = selected();
        switch (reg) {
        case virtio_pci_reg::device_features_sel: return device_features_sel_;
        case virtio_pci_reg::device_features: return virtio_half(device_.offered_features(), device_features_sel_);
        case virtio_pci_reg::driver_features_sel: return driver_features_sel_;
        case virtio_pci_reg::driver_features: return virtio_half(core.driver_features(), driver_features_sel_);
        case virtio_pci_reg::config_vector: return core.irq().config_vector();
        case virtio_pci_reg::queue_count: return queue_count();
        case virtio_pci_reg::status: return core.status();
        case virtio_pci_reg::config_generation: return core.config_generation() & 0xff;
        case virtio_pci_reg::queue_sel: return queue_sel_;
        case virtio_pci_reg::queue_vector: return core.irq().queue_vector(queue_sel_);
        default: break;
        }
        if (queue == nullptr)
            return 0;
        auto const& layout = queue->layout;
        switch (reg) {
        case virtio_pci_reg::queue_size: return layout.size != 0 ? layout.size : queue->max_size;
        case virtio_pci_reg::queue_enable: return queue->ring.enabled() ? 1u : 0u;
        case virtio_pci_reg::queue_notify_offset: return queue_sel_;
        case virtio_pci_reg::queue_desc_low: return virtio_half(layout.desc.raw, 0);
        case virtio_pci_reg::queue_desc_high: return virtio_half(layout.desc.raw, 1);
        case virtio_pci_reg::queue_driver_low: return virtio_half(layout.avail.raw, 0);
        case virtio_pci_reg::queue_driver_high: return virtio_half(layout.avail.raw, 1);
        case virtio_pci_reg::queue_device_low: return virtio_half(layout.used.raw, 0);
        case virtio_pci_reg::queue_device_high: return virtio_half(layout.used.raw, 1);
        default: return 0;
        }
    }

    void write_field(virtio_pci_reg reg, std::uint32_t value) noexcept {
        auto& core = device_.core();
        switch (reg) {
        case virtio_pci_reg::device_features_sel: device_features_sel_ = value; return;
        case virtio_pci_reg::driver_features_sel: driver_features_sel_ = value; return;
        case virtio_pci_reg::driver_features:
            if (core.phase() == virtio_phase::driver && driver_features_sel_ <= 1)
                core.set_driver_features(virtio_with_half(core.driver_features(), driver_features_sel_, value));
            return;
        case virtio_pci_reg::config_vector: return core.irq().set_config_vector(static_cast<std::uint16_t>(value));
        case virtio_pci_reg::status:
            virtio_write_status(device_, static_cast<std::uint8_t>(value));
            if (value == 0)
                core.irq().clear_vectors();
            return;
        case virtio_pci_reg::queue_sel: queue_sel_ = static_cast<std::uint16_t>(value); return;
        case virtio_pci_reg::queue_vector:
            if (queue_sel_ < queue_count())
                core.irq().set_queue_vector(queue_sel_, static_cast<std::uint16_t>(value));
            return;
        default: return write_queue_field(reg, value);
        }
    }

    void write_queue_field(virtio_pci_reg reg, std::uint32_t value) noexcept {
        auto* const queue = selected();
        if (queue == nullptr || device_.core().phase() != virtio_phase::features_ok || queue->ring.enabled())
            return;
        auto& layout = queue->layout;
        auto const set = [value](gpa& at, std::uint32_t which) { at = gpa{virtio_with_half(at.raw, which, value)}; };
        switch (reg) {
        case virtio_pci_reg::queue_size: layout.size = static_cast<std::uint16_t>(value); return;
        case virtio_pci_reg::queue_enable:
            if (value != 1) // a driver must not write 0; only a reset disables
                return;
            if (layout.size == 0)
                layout.size = queue->max_size;
            return virtio_enable_queue(device_, queue_sel_);
        case virtio_pci_reg::queue_desc_low: return set(layout.desc, 0);
        case virtio_pci_reg::queue_desc_high: return set(layout.desc, 1);
        case virtio_pci_reg::queue_driver_low: return set(layout.avail, 0);
        case virtio_pci_reg::queue_driver_high: return set(layout.avail, 1);
        case virtio_pci_reg::queue_device_low: return set(layout.used, 0);
        case virtio_pci_reg::queue_device_high: return set(layout.used, 1);
        default: return; // read-only
        }
    }

    Device& device_;
    pci_config_space space_;
    std::uint32_t device_features_sel_ = 0;
    std::uint32_t driver_features_sel_ = 0;
    std::uint16_t queue_sel_ = 0;
};
static_assert(PciFunction<virtio_pci<null_device<null_memory, virtio_msix_irq<null_msi>>>>);

} // namespace ktstr
