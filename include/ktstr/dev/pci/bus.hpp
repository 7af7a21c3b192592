// SPDX-License-Identifier: Apache-2.0
/// \file
/// PCI bus 0 as a machine sees it: configuration mechanism 1 at ports 0xcf8 to 0xcff, and a window of memory.
///
/// Source: PCI Local Bus Specification 3.0 section 3.2.2.3.2; the order of accesses is in linux arch/x86/pci/direct.c.
#pragma once

#include "ktstr/abi/pci.hpp"
#include "ktstr/base/endian.hpp"
#include "ktstr/dev/acpi_pm.hpp"
#include "ktstr/dev/bus_device.hpp"
#include "ktstr/dev/pci/function.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <tuple>
#include <utility>

namespace ktstr {

/// The functions on bus 0 (borrowed): the first is function 0 of device 0, the second of device 1, and so on. Routes
/// without a virtual call; safe from any thread.
template <PciFunction... Functions>
class pci_bus {
    static_assert(sizeof...(Functions) <= 32, "a PCI bus has 32 devices");

public:
    explicit pci_bus(Functions&... functions) noexcept : functions_(functions...) {}

    /// Configuration of what mechanism 1 calls `address`; all ones where nothing is.
    void config_read(std::uint32_t address, std::span<std::byte> data) noexcept {
        if (!at(address, [&](auto& f, std::uint32_t offset) { f.config_read(offset, data); }))
            std::fill(data.begin(), data.end(), open_bus);
    }
    void config_write(std::uint32_t address, std::span<std::byte const> data) noexcept {
        at(address, [&](auto& f, std::uint32_t offset) { f.config_write(offset, data); });
    }
    /// Memory at guest physical `address`; the first function that claims it answers, else it reads all ones.
    void memory_read(std::uint64_t address, std::span<std::byte> data) noexcept {
        if (!std::apply([&](auto&... f) { return (f.memory_read(address, data) || ...); }, functions_))
            std::fill(data.begin(), data.end(), open_bus);
    }
    void memory_write(std::uint64_t address, std::span<std::byte const> data) noexcept {
        std::apply([&](auto&... f) { static_cast<void>((f.memory_write(address, data) || ...)); }, functions_);
    }

private:
    template <class Use>
    bool at(std::uint32_t address, Use use) noexcept {
        // Bus 0 and functions 0 only.
        if ((address & pci::address_enable) == 0 || (address & 0x00ff0700) != 0)
            return false;
        auto const device = address >> 11 & 0x1f;
        return [&]<std::size_t... I>(std::index_sequence<I...>) {
            return ((device == I && (use(std::get<I>(functions_), address & 0xff), true)) || ...);
        }(std::index_sequence_for<Functions...>{});
    }

    std::tuple<Functions&...> functions_;
};

/// Ports 0xcf8 to 0xcff: the address register (32-bit accesses only), the data, and, at 0xcf9, the reset register, which
/// shares the address register's place. Each vCPU thread may come at any time; a guest that does not serialise address
/// and data itself gets another register's data, as on real machines.
template <class Bus>
class pci_ports {
public:
    static constexpr std::uint64_t base = pci::address_port;
    static constexpr std::uint64_t window = 8;

    explicit pci_ports(Bus& bus) noexcept : bus_(bus) {}

    void read(std::uint64_t offset, std::span<std::byte> data) noexcept {
        if (offset >= data_offset)
            return bus_.config_read(data_address(offset), data);
        if (offset == 0 && data.size() == 4) {
            le32 const value{address_.load(std::memory_order_relaxed)};
            std::memcpy(data.data(), &value, sizeof value);
        } else if (is_reset(offset, data.size())) {
            reset_.read(0, data);
        } else {
            std::fill(data.begin(), data.end(), open_bus);
        }
    }
    device_effect write(std::uint64_t offset, std::span<std::byte const> data) noexcept {
        if (offset >= data_offset) {
            bus_.config_write(data_address(offset), data);
        } else if (offset == 0 && data.size() == 4) {
            le32 value;
            std::memcpy(&value, data.data(), sizeof value);
            address_.store(value & pci::address_mask, std::memory_order_relaxed);
        } else if (is_reset(offset, data.size())) {
            return reset_.write(0, data);
        }
        return device_effect::none;
    }

private:
    static constexpr std::uint64_t data_offset = pci::data_port - pci::address_port;

    [[nodiscard]] static constexpr bool is_reset(std::uint64_t offset, std::size_t size) noexcept {
        return offset == acpi_reset::base - base && size == acpi_reset::window;
    }
    [[nodiscard]] std::uint32_t data_address(std::uint64_t offset) const noexcept {
        return address_.load(std::memory_order_relaxed) | static_cast<std::uint32_t>(offset - data_offset);
    }

    Bus& bus_;
    std::atomic<std::uint32_t> address_{0};
    [[no_unique_address]] acpi_reset reset_{};
};

/// The bus's memory window from guest physical `base` on. BARs that the guest puts elsewhere answer nothing.
template <class Bus>
class pci_memory {
public:
    pci_memory(Bus& bus, std::uint64_t base) noexcept : bus_(bus), base_(base) {}

    void read(std::uint64_t offset, std::span<std::byte> data) noexcept { bus_.memory_read(base_ + offset, data); }
    device_effect write(std::uint64_t offset, std::span<std::byte const> data) noexcept {
        bus_.memory_write(base_ + offset, data);
        return device_effect::none;
    }

private:
    Bus& bus_;
    std::uint64_t base_;
};

static_assert(BusDevice<pci_ports<pci_bus<pci_host_bridge>>> && BusDevice<pci_memory<pci_bus<pci_host_bridge>>>);

} // namespace ktstr
