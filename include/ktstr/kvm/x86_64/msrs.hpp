// SPDX-License-Identifier: Apache-2.0
/// \file
/// Model-specific registers of a KVM vCPU.
#pragma once

#include "ktstr/abi/kvm.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/kvm/ioctl.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace ktstr::kvm {

/// One register and its value.
struct msr {
    std::uint32_t index = 0;
    std::uint64_t value = 0;
};

/// KVM_SET_MSRS. The kernel stops at the first register it does not know: `errc::unsupported` with its index.
[[nodiscard]] inline result<> set_msrs(int fd, std::span<msr const> list) {
    fam_buffer<kvm_msrs, kvm_msr_entry> buffer(list.size());
    buffer.header().nmsrs = static_cast<std::uint32_t>(list.size());
    for (std::size_t i = 0; i < list.size(); ++i)
        buffer.entries()[i] = {list[i].index, 0, list[i].value};
    KTSTR_TRY(int const done, ioctl_struct(fd, KVM_SET_MSRS, buffer.header(), "KVM_SET_MSRS"));
    if (static_cast<std::size_t>(done) < list.size())
        return fail(errc::unsupported, "KVM_SET_MSRS", list[static_cast<std::size_t>(done)].index);
    return {};
}

/// KVM_GET_MSRS of one register.
[[nodiscard]] inline result<std::uint64_t> get_msr(int fd, std::uint32_t index) {
    fam_buffer<kvm_msrs, kvm_msr_entry> buffer(1);
    buffer.header().nmsrs = 1;
    buffer.entries()[0].index = index;
    KTSTR_TRY(int const done, ioctl_struct(fd, KVM_GET_MSRS, buffer.header(), "KVM_GET_MSRS"));
    if (done != 1)
        return fail(errc::unsupported, "KVM_GET_MSRS", index);
    return buffer.entries()[0].data;
}

} // namespace ktstr::kvm
