// SPDX-License-Identifier: Apache-2.0
/// \file
/// Hardware watchpoints of a KVM vCPU on x86_64: DR0-3 and DR7 through KVM_SET_GUEST_DEBUG.
///
/// While watchpoints are set the processor's debug registers are ours: the guest reads and writes its own ones (KVM keeps
/// them apart), but its own hardware breakpoints do not fire. Every #DB of the guest comes to us then; what is not ours, a
/// single step of the guest's own, must be given back with `pass_debug_to_guest`. Breakpoint instructions (INT3) never come
/// here. A watchpoint traps *after* its store.
/// Source: linux Documentation/virt/kvm/api.rst section 4.87, arch/x86/kvm/x86.c kvm_arch_vcpu_ioctl_set_guest_debug,
/// arch/x86/kvm/vmx/vmx.c handle_exception_nmi; Intel SDM volume 3, section 18.2.
#pragma once

#include "ktstr/abi/kvm.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/hv/exit.hpp"
#include "ktstr/hv/watch_place.hpp"
#include "ktstr/kvm/ioctl.hpp"

#include <cstddef>
#include <cstdint>

namespace ktstr::kvm {

namespace dr {
inline constexpr std::uint64_t dr6_slots = 0xf;          ///< B0-B3.
inline constexpr std::uint64_t dr6_access = 1U << 13;    ///< BD: debug registers were touched.
inline constexpr std::uint64_t dr6_step = 1U << 14;      ///< BS: single step.
inline constexpr std::uint64_t dr6_switch = 1U << 15;    ///< BT: task switch.
inline constexpr std::uint64_t dr7_fixed = 0x400;        ///< Reads as one.
inline constexpr std::uint64_t dr7_exact = 0x300;        ///< LE, GE: ignored by today's processors, asked for by their manuals.
inline constexpr std::uint32_t vector_db = 1;
} // namespace dr

/// DR7 for `places`: global enable, break on stores, length. 0 bytes is off; another length than 1, 2, 4, 8 counts as off.
[[nodiscard]] constexpr std::uint64_t watch_dr7(watch_places const& places) noexcept {
    std::uint64_t out = dr::dr7_fixed | dr::dr7_exact;
    for (std::size_t i = 0; i < watch_slots; ++i) {
        std::uint64_t length = 0;
        switch (places[i].size) {
        case 1: length = 0; break;
        case 2: length = 1; break;
        case 4: length = 3; break;
        case 8: length = 2; break;
        default: continue;
        }
        constexpr std::uint64_t on_store = 1;
        out |= std::uint64_t{2} << (2 * i);
        out |= (on_store | length << 2) << (16 + 4 * i);
    }
    return out;
}

/// Whether any place is in use.
[[nodiscard]] constexpr bool any_watch(watch_places const& places) noexcept {
    for (auto const& p : places)
        if (p.size != 0)
            return true;
    return false;
}

namespace detail {
[[nodiscard]] inline result<> guest_debug(int fd, watch_places const& places, std::uint32_t inject) noexcept {
    kvm_guest_debug d{};
    if (any_watch(places)) {
        d.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP;
        for (std::size_t i = 0; i < watch_slots; ++i)
            d.arch.debugreg[i] = places[i].size != 0 ? places[i].address.raw : 0;
        d.arch.debugreg[7] = watch_dr7(places);
    }
    d.control |= inject;
    KTSTR_CHECK(ioctl_struct(fd, KVM_SET_GUEST_DEBUG, d, "KVM_SET_GUEST_DEBUG"));
    return {};
}
} // namespace detail

/// Sets all watchpoints of the vCPU `fd`; no place in use gives the debug registers back to the guest. From any thread
/// while the vCPU is outside KVM_RUN, so while it is frozen, or on its own thread between two runs.
[[nodiscard]] inline result<> set_watchpoints(int fd, watch_places const& places) noexcept {
    return detail::guest_debug(fd, places, 0);
}

/// What the exit is about, for the registers that were set when it happened (DR7 is in the exit). A bit of DR6 whose
/// watchpoint is off is nobody's: the processor may set it for a disabled register.
[[nodiscard]] constexpr debug_cause debug_cause_of(debug_exit const& e) noexcept {
    debug_cause out;
    for (std::uint32_t i = 0; i < watch_slots; ++i)
        if ((e.status >> i & 1) != 0 && (e.detail >> (2 * i) & 3) != 0)
            out.slots |= 1U << i;
    constexpr auto others = dr::dr6_access | dr::dr6_step | dr::dr6_switch;
    out.foreign = e.exception != dr::vector_db || (e.status & others) != 0;
    return out;
}

/// Gives a debug exit that is not ours to the guest: its DR6 as the processor would have set it, and #DB at the next
/// entry. On the vCPU's own thread, before it runs again. `places` stay set. Only for #DB; others cannot come.
[[nodiscard]] inline result<> pass_debug_to_guest(int fd, watch_places const& places, debug_exit const& e) noexcept {
    if (e.exception != dr::vector_db)
        return fail(errc::unsupported, "debug.exception", e.exception);
    kvm_debugregs regs{};
    KTSTR_CHECK(ioctl_struct(fd, KVM_GET_DEBUGREGS, regs, "KVM_GET_DEBUGREGS"));
    constexpr auto others = dr::dr6_access | dr::dr6_step | dr::dr6_switch;
    regs.dr6 = (regs.dr6 & ~dr::dr6_slots) | (e.status & others);
    KTSTR_CHECK(ioctl_struct(fd, KVM_SET_DEBUGREGS, regs, "KVM_SET_DEBUGREGS"));
    return detail::guest_debug(fd, places, KVM_GUESTDBG_INJECT_DB);
}

} // namespace ktstr::kvm
