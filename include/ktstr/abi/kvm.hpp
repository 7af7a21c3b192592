// SPDX-License-Identifier: Apache-2.0
/// \file
/// <linux/kvm.h> in a form that C++ can use, with the layouts that the ioctl numbers depend on asserted.
///
/// Debian 12's headers declare flexible arrays through a helper that puts an empty struct in front of them. In C++ an
/// empty struct has size 1, so `sizeof(kvm_cpuid2)` and with it KVM_SET_CPUID2 come out wrong. Newer kernel headers
/// define the helper as a plain array for C++; this file does the same around its include.
/// Source: linux 6.1 include/uapi/linux/stddef.h, include/uapi/linux/kvm.h.
#pragma once

#include "ktstr/base/layout.hpp"

#include <linux/stddef.h>
#include <linux/types.h>

#pragma push_macro("__DECLARE_FLEX_ARRAY")
#undef __DECLARE_FLEX_ARRAY
#define __DECLARE_FLEX_ARRAY(TYPE, NAME) TYPE NAME[0]
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#include <linux/kvm.h>
#pragma GCC diagnostic pop
#pragma pop_macro("__DECLARE_FLEX_ARRAY")

// If one of these fires, <linux/kvm.h> was included before this header: include this one first.
KTSTR_ABI(kvm_userspace_memory_region, 32);
KTSTR_ABI(kvm_signal_mask, 4);
KTSTR_ABI(kvm_irq_routing, 8);
KTSTR_ABI(kvm_reg_list, 8);
static_assert(KVM_RUN == 0xae80, "KVM_RUN has another number");
static_assert(KVM_SET_SIGNAL_MASK == 0x4004ae8b, "KVM_SET_SIGNAL_MASK has another number");
static_assert(KVM_SET_GSI_ROUTING == 0x4008ae6a, "KVM_SET_GSI_ROUTING has another number");

#if defined(__x86_64__)
KTSTR_ABI(kvm_cpuid_entry2, 40);
KTSTR_ABI(kvm_cpuid2, 8);
KTSTR_ABI(kvm_msrs, 8);
KTSTR_ABI(kvm_msr_list, 4);
KTSTR_ABI(kvm_regs, 144);
KTSTR_ABI(kvm_sregs, 312);
KTSTR_ABI(kvm_lapic_state, 1024);
static_assert(KVM_SET_CPUID2 == 0x4008ae90, "KVM_SET_CPUID2 has another number");
static_assert(KVM_GET_SUPPORTED_CPUID == 0xc008ae05, "KVM_GET_SUPPORTED_CPUID has another number");
static_assert(KVM_SET_MSRS == 0x4008ae89, "KVM_SET_MSRS has another number");
#endif
