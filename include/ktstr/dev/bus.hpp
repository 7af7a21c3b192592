// SPDX-License-Identifier: Apache-2.0
/// \file
/// A static bus: address windows and their devices, found by a comparison chain that the compiler unrolls.
#pragma once

#include "ktstr/base/checked.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/dev/bus_device.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <tuple>

namespace ktstr {

/// A window `[base, base + size)` of ports or guest physical addresses and the device behind it (borrowed).
template <BusDevice Device>
struct bus_slot {
    std::uint64_t base = 0;
    std::uint64_t size = 0;
    Device* device = nullptr;

    /// Whether an access of `length` bytes at `at` lies completely inside the window.
    [[nodiscard]] constexpr bool covers(std::uint64_t at, std::uint64_t length) const noexcept {
        return at >= base && fits(at - base, length, size);
    }
};
template <class Device>
bus_slot(std::uint64_t, std::uint64_t, Device*) -> bus_slot<Device>;

/// Routes accesses to the device whose window covers them. No virtual call, no allocation; safe from any thread.
/// An access that touches no window, or crosses the edge of one, belongs to nobody: reads give all ones.
template <class... Slots>
class device_bus {
public:
    /// Fills `data` from the device at `at`; false, with `data` all ones, when nobody is there.
    bool read(std::uint64_t at, std::span<std::byte> data) const noexcept {
        bool const found = std::apply(
            [&](auto const&... slot) {
                return ((slot.covers(at, data.size()) && (slot.device->read(at - slot.base, data), true)) || ...);
            },
            slots_);
        if (!found)
            std::fill(data.begin(), data.end(), open_bus);
        return found;
    }

    /// Gives `data` to the device at `at` and returns what it asks for; nothing when nobody is there.
    std::optional<device_effect> write(std::uint64_t at, std::span<std::byte const> data) const noexcept {
        auto effect = device_effect::none;
        bool const found = std::apply(
            [&](auto const&... slot) {
                return ((slot.covers(at, data.size()) && (effect = slot.device->write(at - slot.base, data), true)) ||
                        ...);
            },
            slots_);
        if (!found)
            return std::nullopt;
        return effect;
    }

private:
    explicit constexpr device_bus(Slots... slots) noexcept : slots_(slots...) {}
    template <BusDevice... D>
    friend constexpr result<device_bus<bus_slot<D>...>> make_bus(bus_slot<D>... slots) noexcept;
    std::tuple<Slots...> slots_;
};

/// A bus with these slots. `errc::already_exists` with the higher base when two windows overlap;
/// `errc::invalid_argument` with the base of a window that is empty, has no device or runs over the address space.
template <BusDevice... D>
[[nodiscard]] constexpr result<device_bus<bus_slot<D>...>> make_bus(bus_slot<D>... slots) noexcept {
    struct window {
        std::uint64_t base, size;
        bool usable;
    };
    std::array<window, sizeof...(D)> all{window{slots.base, slots.size, slots.device != nullptr}...};
    for (auto const& w : all) {
        if (w.size == 0 || !w.usable || !checked_add(w.base, w.size - 1))
            return fail(errc::invalid_argument, "bus.window", w.base);
    }
    std::sort(all.begin(), all.end(), [](window const& a, window const& b) { return a.base < b.base; });
    for (std::size_t i = 1; i < all.size(); ++i) {
        if (all[i].base - all[i - 1].base < all[i - 1].size)
            return fail(errc::already_exists, "bus.overlap", all[i].base);
    }
    return device_bus<bus_slot<D>...>(slots...);
}

} // namespace ktstr
