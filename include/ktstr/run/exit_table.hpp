// SPDX-License-Identifier: Apache-2.0
/// \file
/// How each exit is classified, per architecture, as one constexpr table, and the policy base that answers from it.
#pragma once

#include "ktstr/arch/arch.hpp"
#include "ktstr/hv/exit.hpp"
#include "ktstr/hv/exit_policy.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ktstr {

/// The classification of one exit kind that no device answers.
struct exit_row {
    exit_kind kind{};
    exit_verdict verdict{};
};

/// The table for architecture `A`, indexed by `exit_kind`. HLT and unknown exits resume (an interrupt wakes a halted
/// vCPU); a shutdown exit is an orderly end by triple fault; FAIL_ENTRY and INTERNAL_ERROR are fatal; an interrupted
/// run is retried. An access that no device claims resumes: reads give all ones, writes vanish, as on a bus.
template <Arch A>
inline constexpr std::array<exit_row, exit_kinds> exit_table{{
    {exit_kind::pio_in, {exit_action::resume, guest_end::none}},
    {exit_kind::pio_out, {exit_action::resume, guest_end::none}},
    {exit_kind::mmio_read, {exit_action::resume, guest_end::none}},
    {exit_kind::mmio_write, {exit_action::resume, guest_end::none}},
    {exit_kind::halt, {exit_action::resume, guest_end::none}},
    {exit_kind::shutdown, {exit_action::shutdown, guest_end::triple_fault}},
    {exit_kind::system_event, {exit_action::resume, guest_end::none}},
    {exit_kind::fail_entry, {exit_action::fatal, guest_end::none}},
    {exit_kind::internal_error, {exit_action::fatal, guest_end::none}},
    {exit_kind::debug, {exit_action::resume, guest_end::none}},
    {exit_kind::interrupted, {exit_action::resume, guest_end::none}},
    {exit_kind::unknown, {exit_action::resume, guest_end::none}},
}};

/// The table's answer for `kind`.
template <Arch A>
[[nodiscard]] constexpr exit_verdict classify(exit_kind kind) noexcept {
    return exit_table<A>[static_cast<std::size_t>(kind)].verdict;
}

/// What a one-byte port write means on architecture `A`: its resets end the guest, everything else resumes.
template <Arch A>
[[nodiscard]] constexpr exit_verdict classify_port_write(std::uint16_t port, std::uint8_t value) noexcept {
    for (reset_write const& r : A::reset_writes) {
        if (r.port == port && r.value == value)
            return {exit_action::shutdown,
                    r.cause == reset_cause::keyboard_controller ? guest_end::reset_i8042 : guest_end::reset_acpi};
    }
    return classify<A>(exit_kind::pio_out);
}

/// KVM_SYSTEM_EVENT types (linux Documentation/virt/kvm/api.rst): 1 shutdown, 2 reset; a crash notice (3) and the
/// rest resume, because the guest goes on by itself.
[[nodiscard]] constexpr exit_verdict classify_system_event(std::uint32_t type) noexcept {
    switch (type) {
    case 1: return {exit_action::shutdown, guest_end::system_off};
    case 2: return {exit_action::shutdown, guest_end::system_reset};
    default: return {};
    }
}

/// Answers every exit from the table of `A`; reads of nothing give all ones. Derive and replace what you emulate.
template <Arch A>
struct exit_defaults {
    exit_verdict on_pio_in(pio_exit const& e) noexcept {
        fill_ones(e.data);
        return classify<A>(exit_kind::pio_in);
    }
    exit_verdict on_pio_out(pio_exit const& e) noexcept {
        if (e.data.size() == 1)
            return classify_port_write<A>(e.port, std::to_integer<std::uint8_t>(e.data[0]));
        return classify<A>(exit_kind::pio_out);
    }
    exit_verdict on_mmio_read(mmio_exit const& e) noexcept {
        fill_ones(e.data);
        return classify<A>(exit_kind::mmio_read);
    }
    exit_verdict on_mmio_write(mmio_exit const&) noexcept { return classify<A>(exit_kind::mmio_write); }
    exit_verdict on_halt(halt_exit const&) noexcept { return classify<A>(exit_kind::halt); }
    exit_verdict on_shutdown(shutdown_exit const&) noexcept { return classify<A>(exit_kind::shutdown); }
    exit_verdict on_system_event(system_event_exit const& e) noexcept { return classify_system_event(e.type); }
    exit_verdict on_fail_entry(fail_entry_exit const&) noexcept { return classify<A>(exit_kind::fail_entry); }
    exit_verdict on_internal_error(internal_error_exit const&) noexcept { return classify<A>(exit_kind::internal_error); }
    exit_verdict on_debug(debug_exit const&) noexcept { return classify<A>(exit_kind::debug); }
    exit_verdict on_unknown(unknown_exit const&) noexcept { return classify<A>(exit_kind::unknown); }

protected:
    static void fill_ones(std::span<std::byte> data) noexcept {
        for (auto& b : data)
            b = std::byte{0xff};
    }
};
static_assert(ExitPolicy<exit_defaults<toy_arch>>);

} // namespace ktstr
