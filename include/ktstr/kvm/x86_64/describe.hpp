// SPDX-License-Identifier: Apache-2.0
/// \file
/// Reads everything that a snapshot says of an x86_64 vCPU: registers with their names, and the FPU image.
///
/// From any thread while the vCPU's own thread is outside KVM_RUN (KVM serialises vCPU ioctls with a lock of the vCPU).
#pragma once

#include "ktstr/abi/kvm.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/hv/vcpu_record.hpp"
#include "ktstr/kvm/ioctl.hpp"
#include "ktstr/kvm/x86_64/msrs.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>

namespace ktstr::kvm {

namespace detail {

class register_list {
public:
    explicit register_list(vcpu_record& to) noexcept : to_(to) {}
    void in(register_group group) noexcept { group_ = group; }
    void add(std::string name, std::uint64_t value) { to_.registers.push_back({std::move(name), group_, value}); }
    void segment(std::string const& name, kvm_segment const& s) {
        add(name, s.selector);
        add(name + ".base", s.base);
        add(name + ".limit", s.limit);
        add(name + ".attr", static_cast<std::uint64_t>(s.type) | (std::uint64_t{s.s} << 4) | (std::uint64_t{s.dpl} << 5) |
                                (std::uint64_t{s.present} << 7) | (std::uint64_t{s.avl} << 12) |
                                (std::uint64_t{s.l} << 13) | (std::uint64_t{s.db} << 14) | (std::uint64_t{s.g} << 15));
    }

private:
    vcpu_record& to_;
    register_group group_ = register_group::general;
};

/// The MSRs that tell where a kernel lies and how it is entered. Intel SDM volume 4; linux arch/x86/include/asm/msr-index.h.
struct named_msr {
    char const* name;
    std::uint32_t index;
};
inline constexpr named_msr shown_msrs[]{
    {"star", 0xc0000081}, {"lstar", 0xc0000082},          {"cstar", 0xc0000083},          {"sfmask", 0xc0000084},
    {"kernel_gs_base", 0xc0000102}, {"tsc_aux", 0xc0000103}, {"pat", 0x277},
    {"sysenter_cs", 0x174}, {"sysenter_esp", 0x175},      {"sysenter_eip", 0x176},        {"tsc", 0x10},
    {"tsc_deadline", 0x6e0}, {"kvm_system_time_new", 0x4b564d01},
};

} // namespace detail

/// Fills `to` from the vCPU descriptor `fd`: KVM_GET_REGS, SREGS, DEBUGREGS, VCPU_EVENTS, MP_STATE, MSRS, XSAVE. General
/// and segment registers must be had; of the others, what this KVM does not give is left out.
[[nodiscard]] inline result<> describe_vcpu(int fd, vcpu_record& to) {
    kvm_regs r{};
    kvm_sregs s{};
    KTSTR_CHECK(ioctl_struct(fd, KVM_GET_REGS, r, "KVM_GET_REGS"));
    KTSTR_CHECK(ioctl_struct(fd, KVM_GET_SREGS, s, "KVM_GET_SREGS"));
    to.registers.clear();
    to.registers.reserve(96);
    detail::register_list out(to);

    out.in(register_group::general);
    std::pair<char const*, std::uint64_t> const general[]{
        {"rax", r.rax}, {"rbx", r.rbx}, {"rcx", r.rcx}, {"rdx", r.rdx}, {"rsi", r.rsi}, {"rdi", r.rdi},
        {"rbp", r.rbp}, {"rsp", r.rsp}, {"r8", r.r8},   {"r9", r.r9},   {"r10", r.r10}, {"r11", r.r11},
        {"r12", r.r12}, {"r13", r.r13}, {"r14", r.r14}, {"r15", r.r15}, {"rip", r.rip}, {"rflags", r.rflags}};
    for (auto const& [name, value] : general)
        out.add(name, value);

    out.in(register_group::segment);
    std::pair<char const*, kvm_segment const*> const segments[]{{"cs", &s.cs}, {"ds", &s.ds}, {"es", &s.es}, {"fs", &s.fs},
                                                                {"gs", &s.gs}, {"ss", &s.ss}, {"tr", &s.tr}, {"ldt", &s.ldt}};
    for (auto const& [name, value] : segments)
        out.segment(name, *value);
    out.add("gdt.base", s.gdt.base);
    out.add("gdt.limit", s.gdt.limit);
    out.add("idt.base", s.idt.base);
    out.add("idt.limit", s.idt.limit);

    out.in(register_group::control);
    out.add("cr0", s.cr0);
    out.add("cr2", s.cr2);
    out.add("cr3", s.cr3);
    out.add("cr4", s.cr4);
    out.add("cr8", s.cr8);
    out.add("efer", s.efer);
    out.add("apic_base", s.apic_base);

    kvm_debugregs d{};
    if (ioctl_struct(fd, KVM_GET_DEBUGREGS, d, "KVM_GET_DEBUGREGS")) {
        out.in(register_group::debug);
        for (std::size_t i = 0; i < 4; ++i)
            out.add("dr" + std::to_string(i), d.db[i]);
        out.add("dr6", d.dr6);
        out.add("dr7", d.dr7);
    }
    out.in(register_group::interrupt);
    kvm_vcpu_events e{};
    if (ioctl_struct(fd, KVM_GET_VCPU_EVENTS, e, "KVM_GET_VCPU_EVENTS")) {
        out.add("exception.injected", e.exception.injected);
        out.add("exception.nr", e.exception.nr);
        out.add("interrupt.injected", e.interrupt.injected);
        out.add("interrupt.nr", e.interrupt.nr);
        out.add("interrupt.shadow", e.interrupt.shadow);
        out.add("nmi.injected", e.nmi.injected);
        out.add("nmi.pending", e.nmi.pending);
        out.add("nmi.masked", e.nmi.masked);
    }
    kvm_mp_state m{};
    if (ioctl_struct(fd, KVM_GET_MP_STATE, m, "KVM_GET_MP_STATE"))
        out.add("mp_state", m.mp_state);

    out.in(register_group::msr);
    for (auto const& each : detail::shown_msrs)
        if (auto const value = get_msr(fd, each.index))
            out.add(each.name, *value);

    kvm_xsave x{};
    if (ioctl_struct(fd, KVM_GET_XSAVE, x, "KVM_GET_XSAVE")) {
        auto const raw = std::as_bytes(std::span(x.region));
        to.fpu.assign(raw.begin(), raw.end());
    }
    return {};
}

} // namespace ktstr::kvm
