// SPDX-License-Identifier: Apache-2.0
/// \file
/// Reads what CPUID KVM can give a guest, and gives a vCPU the CPUID that arch/x86_64 computed.
#pragma once

#include "ktstr/abi/kvm.hpp"
#include "ktstr/arch/x86_64/cpuid.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/kvm/ioctl.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ktstr::kvm {

/// KVM_GET_SUPPORTED_CPUID of the /dev/kvm descriptor `system`; the array grows until it fits (at most 4,096 entries).
[[nodiscard]] inline result<std::vector<cpuid_entry>> supported_cpuid(int system) {
    for (std::uint32_t room = 128; room <= 4096; room *= 2) {
        fam_buffer<kvm_cpuid2, kvm_cpuid_entry2> buffer(room);
        buffer.header().nent = room;
        auto const done = ioctl_struct(system, KVM_GET_SUPPORTED_CPUID, buffer.header(), "KVM_GET_SUPPORTED_CPUID");
        if (!done) {
            if (done.error().os_errno == E2BIG)
                continue;
            return std::unexpected(done.error());
        }
        std::vector<cpuid_entry> out;
        for (std::uint32_t i = 0; i < buffer.header().nent && i < room; ++i) {
            auto const& e = buffer.entries()[i];
            out.push_back({e.function, e.index, e.flags, e.eax, e.ebx, e.ecx, e.edx});
        }
        return out;
    }
    return fail(errc::no_space, "KVM_GET_SUPPORTED_CPUID");
}

/// KVM_SET_CPUID2 on the vCPU descriptor `fd`. Before the first run only.
[[nodiscard]] inline result<> set_cpuid(int fd, std::span<cpuid_entry const> entries) {
    fam_buffer<kvm_cpuid2, kvm_cpuid_entry2> buffer(entries.size());
    buffer.header().nent = static_cast<std::uint32_t>(entries.size());
    for (std::size_t i = 0; i < entries.size(); ++i) {
        auto& to = buffer.entries()[i];
        to = {};
        to.function = entries[i].function;
        to.index = entries[i].index;
        to.flags = entries[i].flags;
        to.eax = entries[i].eax;
        to.ebx = entries[i].ebx;
        to.ecx = entries[i].ecx;
        to.edx = entries[i].edx;
    }
    KTSTR_CHECK(ioctl_struct(fd, KVM_SET_CPUID2, buffer.header(), "KVM_SET_CPUID2"));
    return {};
}

} // namespace ktstr::kvm
