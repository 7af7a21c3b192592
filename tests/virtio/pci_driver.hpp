// SPDX-License-Identifier: Apache-2.0
/// \file
/// A virtio-pci function that takes the words of virtio-mmio, so that the driver and the suites of the one drive the other.
#pragma once

#include "ktstr/abi/virtio_mmio.hpp"
#include "ktstr/virtio/pci_transport.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace ktstr::test {

/// An interrupt line behind MSI-X that counts what the device asked for.
struct counted_msix : virtio_msix_irq<counting_msi> {
    std::uint64_t count = 0;
    void pulse_used(std::size_t queue) noexcept {
        ++count;
        virtio_msix_irq::pulse_used(queue);
    }
    void pulse_config() noexcept {
        ++count;
        virtio_msix_irq::pulse_config();
    }
};
static_assert(CausedIrqLine<counted_msix>);

/// The function, its decoding on, and each mmio register's counterpart.
template <VirtioDevice Device>
class pci_as_mmio {
public:
    static constexpr std::uint64_t bar = 0xd0000000;

    explicit pci_as_mmio(Device& device) : pci_(device, gpa{bar}) {
        std::array const on{std::byte{pci::command_memory | pci::command_master}};
        pci_.config_write(pci::reg::command, on);
    }

    virtio_pci<Device>& function() { return pci_; }
    static constexpr std::uint16_t queue_count() { return virtio_pci<Device>::queue_count(); }
    void queue_notify(std::uint32_t index) { pci_.queue_notify(index); }

    std::uint32_t get(std::uint64_t at, std::size_t size) {
        std::array<std::byte, 4> raw{};
        (void)pci_.memory_read(bar + at, std::span(raw).first(size));
        std::uint32_t out = 0;
        std::memcpy(&out, raw.data(), sizeof out);
        return out;
    }
    void put(std::uint64_t at, std::size_t size, std::uint32_t value) {
        std::array<std::byte, 4> raw{};
        std::memcpy(raw.data(), &value, sizeof value);
        (void)pci_.memory_write(bar + at, std::span<std::byte const>(raw).first(size));
    }

    void read(std::uint64_t offset, std::span<std::byte> data) {
        std::fill(data.begin(), data.end(), std::byte{0});
        if (data.size() != 4)
            return;
        std::uint32_t value = 0;
        if (offset == at(virtio_mmio_reg::interrupt_status))
            value = get(virtio_pci_bar::isr, 1);
        else if (auto const to = field(offset); to != none)
            value = get(to, virtio_pci_field_width(to));
        std::memcpy(data.data(), &value, 4);
    }
    void write(std::uint64_t offset, std::span<std::byte const> data) {
        if (data.size() != 4)
            return;
        std::uint32_t value = 0;
        std::memcpy(&value, data.data(), 4);
        if (offset == at(virtio_mmio_reg::queue_notify)) {
            if (value < 0x400)
                put(virtio_pci<Device>::notify_offset(static_cast<std::uint16_t>(value)), 2, value);
            return;
        }
        auto const to = field(offset);
        if (to == none)
            return;
        auto const width = virtio_pci_field_width(to);
        if (to == 0x16)
            value = std::min(value, 0xffffu);
        if (width == 4 || value >> (8 * width) == 0)
            put(to, width, value);
    }

private:
    static constexpr std::uint32_t none = ~0u;
    static constexpr std::uint64_t at(virtio_mmio_reg reg) { return static_cast<std::uint64_t>(reg); }
    static constexpr std::uint32_t field(std::uint64_t offset) {
        switch (static_cast<virtio_mmio_reg>(offset)) {
        case virtio_mmio_reg::device_features_sel: return 0x00;
        case virtio_mmio_reg::device_features: return 0x04;
        case virtio_mmio_reg::driver_features_sel: return 0x08;
        case virtio_mmio_reg::driver_features: return 0x0c;
        case virtio_mmio_reg::status: return 0x14;
        case virtio_mmio_reg::config_generation: return 0x15;
        case virtio_mmio_reg::queue_sel: return 0x16;
        case virtio_mmio_reg::queue_num_max:
        case virtio_mmio_reg::queue_num: return 0x18;
        case virtio_mmio_reg::queue_ready: return 0x1c;
        case virtio_mmio_reg::queue_desc_low: return 0x20;
        case virtio_mmio_reg::queue_desc_high: return 0x24;
        case virtio_mmio_reg::queue_driver_low: return 0x28;
        case virtio_mmio_reg::queue_driver_high: return 0x2c;
        case virtio_mmio_reg::queue_device_low: return 0x30;
        case virtio_mmio_reg::queue_device_high: return 0x34;
        default: return none;
        }
    }

    virtio_pci<Device> pci_;
};

} // namespace ktstr::test
