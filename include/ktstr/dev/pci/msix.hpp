// SPDX-License-Identifier: Apache-2.0
/// \file
/// The MSI-X table of a PCI function: vectors, masks and what is pending behind them.
///
/// Source: PCI Local Bus Specification 3.0 section 6.8.2.
#pragma once

#include "ktstr/abi/pci.hpp"
#include "ktstr/base/endian.hpp"
#include "ktstr/hv/msi.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

namespace ktstr {

/// `Vectors` interrupts that the guest aims and masks. Not synchronised: the device's lock guards it.
template <MsiSink Sink, std::uint16_t Vectors>
class msix_table {
    static_assert(explain_msi_sink<Sink>());
    static_assert(Vectors >= 1 && Vectors <= 32, "pending bits are one word");

public:
    static constexpr std::uint16_t vectors = Vectors;
    static constexpr std::uint64_t size = std::uint64_t{Vectors} * pci::msix_entry_size;
    static constexpr std::uint64_t pending_size = 8;

    msix_table() noexcept : msix_table(Sink{}) {}
    explicit msix_table(Sink sink) noexcept : sink_(std::move(sink)) {
        for (auto& e : entries_)
            e[3] = pci::msix_entry_masked; // every vector is masked after a reset
    }

    [[nodiscard]] Sink& sink() noexcept { return sink_; }
    /// The control register's value: the table's size, with what the guest set.
    [[nodiscard]] std::uint16_t control() const noexcept { return static_cast<std::uint16_t>(control_ | (Vectors - 1)); }
    /// The guest writes the control register.
    void set_control(std::uint16_t value) noexcept {
        control_ = value & (pci::msix_enable | pci::msix_function_mask);
        deliver();
    }

    /// Interrupts by `vector`; behind a mask it waits. Without MSI-X, or for a vector that is not there, nothing happens.
    void fire(std::uint16_t vector) noexcept {
        if (vector >= Vectors || (control_ & pci::msix_enable) == 0)
            return;
        pending_ |= 1U << vector;
        deliver();
    }

    /// The table's memory: aligned accesses of 4 and 8 bytes; any other reads 0 and writes nothing.
    void read(std::uint64_t offset, std::span<std::byte> data) const noexcept {
        std::fill(data.begin(), data.end(), std::byte{0});
        if (!is_access(offset, data.size()))
            return;
        for (std::size_t i = 0; i < data.size(); i += 4) {
            le32 const value{word(offset + i)};
            std::memcpy(data.data() + i, &value, 4);
        }
    }
    void write(std::uint64_t offset, std::span<std::byte const> data) noexcept {
        if (!is_access(offset, data.size()))
            return;
        for (std::size_t i = 0; i < data.size(); i += 4) {
            le32 value;
            std::memcpy(&value, data.data() + i, 4);
            auto const at = (offset + i) / 4;
            auto& to = entries_[at / 4][at % 4];
            to = at % 4 == 3 ? value & pci::msix_entry_masked : std::uint32_t{value};
        }
        deliver();
    }
    /// The pending bits' memory.
    void read_pending(std::uint64_t offset, std::span<std::byte> data) const noexcept {
        for (std::size_t i = 0; i < data.size(); ++i)
            data[i] = offset + i < 4 ? static_cast<std::byte>(pending_ >> (8 * (offset + i)) & 0xff) : std::byte{0};
    }

private:
    [[nodiscard]] static constexpr bool is_access(std::uint64_t offset, std::size_t length) noexcept {
        return (length == 4 || length == 8) && offset % length == 0 && offset < size;
    }
    [[nodiscard]] std::uint32_t word(std::uint64_t offset) const noexcept { return entries_[offset / 16][offset / 4 % 4]; }

    /// Sends what is pending and not masked.
    void deliver() noexcept {
        if ((control_ & pci::msix_enable) == 0 || (control_ & pci::msix_function_mask) != 0)
            return;
        for (std::uint16_t v = 0; v < Vectors && pending_ != 0; ++v) {
            auto const& e = entries_[v];
            if ((pending_ >> v & 1) == 0 || (e[3] & pci::msix_entry_masked) != 0)
                continue;
            pending_ &= ~(1U << v);
            sink_.send({std::uint64_t{e[1]} << 32 | e[0], e[2]});
        }
    }

    [[no_unique_address]] Sink sink_;
    std::array<std::array<std::uint32_t, 4>, Vectors> entries_{}; ///< address low, high, data, control
    std::uint32_t pending_ = 0;
    std::uint16_t control_ = 0;
};

} // namespace ktstr
