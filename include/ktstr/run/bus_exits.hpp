// SPDX-License-Identifier: Apache-2.0
/// \file
/// The exit policy of a machine with devices: accesses go to two static buses, everything else to the exit table.
#pragma once

#include "ktstr/arch/arch.hpp"
#include "ktstr/dev/effect.hpp"
#include "ktstr/hv/exit.hpp"
#include "ktstr/hv/exit_policy.hpp"
#include "ktstr/run/exit_table.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace ktstr {

/// What a device effect means for the machine.
[[nodiscard]] constexpr exit_verdict verdict_of(device_effect effect) noexcept {
    switch (effect) {
    case device_effect::none: return {};
    case device_effect::reset_i8042: return {exit_action::shutdown, guest_end::reset_i8042};
    case device_effect::reset_acpi: return {exit_action::shutdown, guest_end::reset_acpi};
    case device_effect::power_off: return {exit_action::shutdown, guest_end::power_off};
    }
    return {};
}

/// Routes port and MMIO accesses to buses (see dev/bus.hpp) that are shared by all vCPUs. An access that no device
/// claims is answered by the table of `A`. String instructions are routed item by item, as a bus would see them.
template <Arch A, class PioBus, class MmioBus>
class bus_exits : public exit_defaults<A> {
public:
    bus_exits(PioBus pio, MmioBus mmio) noexcept : pio_(pio), mmio_(mmio) {}

    exit_verdict on_pio_in(pio_exit const& e) noexcept {
        for_items(e, [&](std::span<std::byte> item) {
            pio_.read(e.port, item);
            return exit_verdict{};
        });
        return {};
    }
    exit_verdict on_pio_out(pio_exit const& e) noexcept {
        return for_items(e, [&](std::span<std::byte> item) {
            auto const effect = pio_.write(e.port, item);
            return effect ? verdict_of(*effect) : exit_verdict{};
        });
    }
    exit_verdict on_mmio_read(mmio_exit const& e) noexcept {
        mmio_.read(e.address.raw, e.data);
        return {};
    }
    exit_verdict on_mmio_write(mmio_exit const& e) noexcept {
        auto const effect = mmio_.write(e.address.raw, e.data);
        return effect ? verdict_of(*effect) : exit_verdict{};
    }

private:
    /// Calls `use` for each item until one ends the machine.
    template <class F>
    static exit_verdict for_items(pio_exit const& e, F use) noexcept {
        if (e.size == 0)
            return {};
        for (auto left = e.data; left.size() >= e.size; left = left.subspan(e.size)) {
            auto const verdict = use(left.first(e.size));
            if (verdict.action != exit_action::resume)
                return verdict;
        }
        return {};
    }

    [[no_unique_address]] PioBus pio_;
    [[no_unique_address]] MmioBus mmio_;
};

} // namespace ktstr
