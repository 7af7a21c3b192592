// SPDX-License-Identifier: Apache-2.0
/// \file
/// Starting a tiny guest in real mode.
#pragma once

#include "ktstr/abi/kvm.hpp"
#include "ktstr/arch/x86_64/boot_state.hpp"
#include "ktstr/kvm/ioctl.hpp"
#include "ktstr/mem/guest_memory.hpp"

#include <cstdint>
#include <doctest/doctest.h>
#include <span>
#include <vector>

/// Puts real-mode code at 0x1000 and vCPU 0 there: kernel mode, where port and MMIO instructions are allowed.
template <class Runner>
void load_real_mode(Runner& r, std::vector<std::uint8_t> const& code) {
    REQUIRE(ktstr::write_guest(r.memory(), ktstr::gpa{0x1000}, std::as_bytes(std::span(code))));
    kvm_sregs s{};
    REQUIRE(ktstr::kvm::ioctl_struct(r.vcpu(0).fd(), KVM_GET_SREGS, s, "KVM_GET_SREGS"));
    s.cs.base = 0;
    s.cs.selector = 0;
    REQUIRE(ktstr::kvm::ioctl_struct(r.vcpu(0).fd(), KVM_SET_SREGS, s, "KVM_SET_SREGS"));
    ktstr::x86_regs regs;
    regs.rip = 0x1000;
    REQUIRE(r.vcpu(0).set_regs(regs));
}
