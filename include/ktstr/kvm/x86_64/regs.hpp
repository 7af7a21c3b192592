// SPDX-License-Identifier: Apache-2.0
/// \file
/// Moves the register values that arch/x86_64 computes into and out of a KVM vCPU.
#pragma once

#include "ktstr/abi/kvm.hpp"
#include "ktstr/arch/x86_64/boot_state.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/hv/exit.hpp"
#include "ktstr/kvm/ioctl.hpp"

#include <cstdint>

namespace ktstr::kvm {

using native_regs = x86_regs;

/// KVM_GET_REGS.
[[nodiscard]] inline result<x86_regs> native_get_regs(int fd) noexcept {
    kvm_regs k{};
    KTSTR_CHECK(ioctl_struct(fd, KVM_GET_REGS, k, "KVM_GET_REGS"));
    return x86_regs{k.rax, k.rbx, k.rcx, k.rdx, k.rsi, k.rdi, k.rsp, k.rbp, k.r8,
                    k.r9,  k.r10, k.r11, k.r12, k.r13, k.r14, k.r15, k.rip, k.rflags};
}

/// KVM_SET_REGS.
[[nodiscard]] inline result<> native_set_regs(int fd, x86_regs const& r) noexcept {
    kvm_regs k{r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rsp, r.rbp, r.r8,
               r.r9,  r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rip, r.rflags};
    KTSTR_CHECK(ioctl_struct(fd, KVM_SET_REGS, k, "KVM_SET_REGS"));
    return {};
}

/// The debug exit of the run page as a typed value.
[[nodiscard]] inline debug_exit native_debug_exit(kvm_run const& r) noexcept {
    return {r.debug.arch.pc, r.debug.arch.dr6, r.debug.arch.dr7, r.debug.arch.exception};
}

namespace detail {
inline void fill_segment(kvm_segment& to, x86_segment const& from) noexcept {
    to = {};
    to.base = from.base;
    to.limit = from.g ? (from.limit << 12) | 0xfff : from.limit;
    to.selector = from.selector;
    to.type = from.type;
    to.present = from.present;
    to.dpl = from.dpl;
    to.db = from.db;
    to.s = from.s;
    to.l = from.l;
    to.g = from.g;
}
} // namespace detail

/// Puts a vCPU's local APIC into x2APIC mode, as firmware does when there are ids that an xAPIC cannot address: a kernel
/// that is entered in xAPIC mode leaves those CPUs out. The guest's CPUID must have x2APIC.
[[nodiscard]] inline result<> enable_x2apic(int fd) noexcept {
    constexpr std::uint64_t enabled = 1U << 11, extended = 1U << 10; // IA32_APIC_BASE
    kvm_sregs s{};
    KTSTR_CHECK(ioctl_struct(fd, KVM_GET_SREGS, s, "KVM_GET_SREGS"));
    s.apic_base |= enabled | extended;
    KTSTR_CHECK(ioctl_struct(fd, KVM_SET_SREGS, s, "KVM_SET_SREGS"));
    return {};
}

/// Puts a fresh vCPU into `state`: segments, control registers, GDT and general registers.
[[nodiscard]] inline result<> set_boot_state(int fd, x86_boot_state const& state) noexcept {
    kvm_sregs s{};
    KTSTR_CHECK(ioctl_struct(fd, KVM_GET_SREGS, s, "KVM_GET_SREGS"));
    detail::fill_segment(s.cs, state.code);
    for (auto* seg : {&s.ds, &s.es, &s.fs, &s.gs, &s.ss})
        detail::fill_segment(*seg, state.data);
    detail::fill_segment(s.tr, state.task);
    s.gdt.base = state.gdt_base;
    s.gdt.limit = state.gdt_limit;
    s.idt.base = 0;
    s.idt.limit = 0;
    s.cr0 = state.cr0;
    s.cr3 = state.cr3;
    s.cr4 = state.cr4;
    s.efer = state.efer;
    KTSTR_CHECK(ioctl_struct(fd, KVM_SET_SREGS, s, "KVM_SET_SREGS"));
    return native_set_regs(fd, state.regs);
}

} // namespace ktstr::kvm
