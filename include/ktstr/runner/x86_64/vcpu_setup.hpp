// SPDX-License-Identifier: Apache-2.0
/// \file
/// What a KVM vCPU needs before a Linux kernel runs on it: CPUID, a few MSRs, the local APIC's interrupt pins.
#pragma once

#include "ktstr/abi/kvm.hpp"
#include "ktstr/arch/x86_64/boot_state.hpp"
#include "ktstr/arch/x86_64/cpuid.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/kvm/ioctl.hpp"
#include "ktstr/kvm/vcpu.hpp"
#include "ktstr/kvm/x86_64/cpuid.hpp"
#include "ktstr/kvm/x86_64/msrs.hpp"
#include "ktstr/kvm/x86_64/regs.hpp"

#include <array>
#include <cstdint>
#include <cstring>
#include <span>

namespace ktstr {

namespace detail {
/// IA32_MISC_ENABLE: fast string operations. IA32_MTRR_DEF_TYPE: MTRRs on, write-back by default.
inline constexpr std::array<kvm::msr, 2> linux_msrs{{{0x1a0, 1}, {0x2ff, 0x806}}};

/// Local APIC registers (Intel SDM volume 3, 11.4.1) LVT LINT0 and LINT1, with delivery modes ExtINT and NMI.
inline constexpr std::size_t lvt_lint0 = 0x350, lvt_lint1 = 0x360;
inline constexpr std::uint32_t delivery_nmi = 4U << 8, delivery_extint = 7U << 8, delivery_mask = 7U << 8, masked = 1U << 16;

inline void set_lapic_pin(kvm_lapic_state& state, std::size_t at, std::uint32_t delivery) noexcept {
    std::uint32_t value = 0;
    std::memcpy(&value, state.regs + at, sizeof value);
    value = (value & ~(delivery_mask | masked)) | delivery;
    std::memcpy(state.regs + at, &value, sizeof value);
}
} // namespace detail

/// Prepares `cpu`: `cpuid` is what `make_cpuid` computed for it; `bsp` holds the boot state for the BSP and is null for
/// an AP, which waits for INIT and SIPI; `x2apic` says that the machine has ids beyond an xAPIC's. Before the first run.
/// MSRs that this KVM does not know are left alone.
[[nodiscard]] inline result<> set_up_linux_vcpu(kvm::vcpu& cpu, std::span<cpuid_entry const> cpuid,
                                                x86_boot_state const* bsp, bool x2apic = false) {
    KTSTR_CHECK(kvm::set_cpuid(cpu.fd(), cpuid));
    for (auto const& one : detail::linux_msrs) {
        auto const done = kvm::set_msrs(cpu.fd(), std::span(&one, 1));
        if (!done && done.error().code != errc::unsupported)
            return done;
    }
    if (bsp == nullptr)
        return x2apic ? kvm::enable_x2apic(cpu.fd()) : result<>{};
    kvm_lapic_state lapic{};
    KTSTR_CHECK(kvm::ioctl_struct(cpu.fd(), KVM_GET_LAPIC, lapic, "KVM_GET_LAPIC"));
    detail::set_lapic_pin(lapic, detail::lvt_lint0, detail::delivery_extint);
    detail::set_lapic_pin(lapic, detail::lvt_lint1, detail::delivery_nmi);
    KTSTR_CHECK(kvm::ioctl_struct(cpu.fd(), KVM_SET_LAPIC, lapic, "KVM_SET_LAPIC"));
    KTSTR_CHECK(kvm::set_boot_state(cpu.fd(), *bsp));
    return x2apic ? kvm::enable_x2apic(cpu.fd()) : result<>{};
}

} // namespace ktstr
