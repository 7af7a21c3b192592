// SPDX-License-Identifier: Apache-2.0
/// \file
/// The `Arch` policy: what differs between processor architectures, as one type without state.
///
/// Contract: everything is constexpr or pure and compiles on every host, whatever it runs on.
/// - `name`: what users call it ("x86_64").
/// - `page_size` in bytes; `mmio_hole`: the guest physical range that RAM is laid out around (size 0 = none).
/// - `regs_type`: the general registers; `pc(regs)` reads the program counter.
/// - `reset_writes`: port writes by which a guest of this architecture ends itself, with the name of that end.
/// Models: `x86_64` (arch/x86_64/x86_64.hpp), `toy_arch` below. Suite: tests/suites/arch_suite.hpp.
///
/// To add an architecture: a folder arch/NAME with map, registers and boot state; a model of this concept; the exit
/// table's view of it (run/exit_table.hpp); kvm/NAME applying what arch/NAME computes; the firmware's description of
/// the machine; a Linux machine in runner/; the suites above instantiated for it; and the lab for that architecture.
#pragma once

#include "ktstr/base/units.hpp"
#include "ktstr/mem/region.hpp"

#include <array>
#include <concepts>
#include <cstdint>
#include <span>
#include <string_view>

namespace ktstr {

/// What a port write does to the machine.
enum class reset_cause : std::uint8_t { keyboard_controller, acpi_reset_register };

/// A write of `value` to I/O port `port` that ends the guest.
struct reset_write {
    std::uint16_t port = 0;
    std::uint8_t value = 0;
    reset_cause cause{};
};

namespace detail {
template <class A>
concept arch_name = requires {
    { A::name } -> std::convertible_to<std::string_view>;
};
template <class A>
concept arch_page_size = requires {
    { A::page_size } -> std::convertible_to<std::uint64_t>;
};
template <class A>
concept arch_mmio_hole = requires {
    { A::mmio_hole } -> std::convertible_to<gpa_range>;
};
template <class A>
concept arch_pc = requires(typename A::regs_type const& r) {
    { A::pc(r) } noexcept -> std::same_as<gva>;
};
template <class A>
concept arch_reset_writes = requires {
    { std::span<reset_write const>(A::reset_writes) };
};
} // namespace detail

/// A processor architecture; see the contract at the top of this file.
template <class A>
concept Arch = detail::arch_name<A> && detail::arch_page_size<A> && detail::arch_mmio_hole<A> && detail::arch_pc<A> &&
               detail::arch_reset_writes<A>;

/// Fails to compile with one sentence per requirement that `A` misses.
template <class A>
consteval bool explain_arch() {
    static_assert(detail::arch_name<A>, "Arch: missing `static constexpr string_view name`");
    static_assert(detail::arch_page_size<A>, "Arch: missing `static constexpr uint64_t page_size`");
    static_assert(detail::arch_mmio_hole<A>, "Arch: missing `static constexpr gpa_range mmio_hole`");
    static_assert(detail::arch_pc<A>, "Arch: missing `regs_type` or `static gva pc(regs_type const&) noexcept`");
    static_assert(detail::arch_reset_writes<A>, "Arch: missing `static constexpr array<reset_write, N> reset_writes`");
    return Arch<A>;
}

/// An architecture for tests: no hole, no resets, one register.
struct toy_arch {
    struct regs_type {
        std::uint64_t pc = 0;
    };
    static constexpr std::string_view name = "toy";
    static constexpr std::uint64_t page_size = 4096;
    static constexpr gpa_range mmio_hole{};
    static constexpr std::array<reset_write, 0> reset_writes{};
    [[nodiscard]] static constexpr gva pc(regs_type const& regs) noexcept { return gva{regs.pc}; }
};
static_assert(Arch<toy_arch>);

} // namespace ktstr
