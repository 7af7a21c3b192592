// SPDX-License-Identifier: Apache-2.0
/// \file
/// The 256 bytes of a PCI function's configuration space, each bit either fixed or the guest's.
#pragma once

#include "ktstr/abi/pci.hpp"
#include "ktstr/base/checked.hpp"

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ktstr {

/// Bytes with a mask of what the guest may change. BARs need nothing else: the bits below their size are fixed zeros, so
/// that a guest that writes all ones reads the size back. Not synchronised.
class pci_config_space {
public:
    /// Puts `value` at `offset`; the guest may change the bits of `writable`.
    template <std::unsigned_integral T>
    constexpr void set(std::uint32_t offset, T value, T writable = 0) noexcept {
        for (std::size_t i = 0; i < sizeof(T) && offset + i < value_.size(); ++i) {
            value_[offset + i] = static_cast<std::byte>(value >> (8 * i) & 0xff);
            writable_[offset + i] = static_cast<std::byte>(writable >> (8 * i) & 0xff);
        }
    }
    /// The number at `offset`.
    template <std::unsigned_integral T>
    [[nodiscard]] constexpr T get(std::uint32_t offset) const noexcept {
        T out = 0;
        for (std::size_t i = 0; i < sizeof(T) && offset + i < value_.size(); ++i)
            out = static_cast<T>(out | static_cast<T>(std::to_integer<T>(value_[offset + i]) << (8 * i)));
        return out;
    }

    /// What the guest reads; beyond the end, all ones.
    void read(std::uint32_t offset, std::span<std::byte> data) const noexcept {
        if (!fits(offset, data.size(), value_.size()))
            return std::fill(data.begin(), data.end(), std::byte{0xff});
        std::copy_n(value_.begin() + offset, data.size(), data.begin());
    }
    /// What the guest writes; beyond the end, nothing.
    void write(std::uint32_t offset, std::span<std::byte const> data) noexcept {
        if (!fits(offset, data.size(), value_.size()))
            return;
        for (std::size_t i = 0; i < data.size(); ++i) {
            auto const mask = writable_[offset + i];
            value_[offset + i] = (value_[offset + i] & ~mask) | (data[i] & mask);
        }
    }

private:
    std::array<std::byte, pci::config_size> value_{};
    std::array<std::byte, pci::config_size> writable_{};
};

} // namespace ktstr
