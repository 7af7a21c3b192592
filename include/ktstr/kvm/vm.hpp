// SPDX-License-Identifier: Apache-2.0
/// \file
/// A KVM machine: memory slots, interrupt wiring, vCPU creation.
#pragma once

#include "ktstr/abi/kvm.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/hv/hypervisor.hpp"
#include "ktstr/kvm/ioctl.hpp"
#include "ktstr/kvm/vcpu.hpp"
#include "ktstr/sys/fd.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace ktstr::kvm {

/// A KVM machine; model of `Vm`.
class vm {
public:
    using vcpu_type = vcpu;

    /// Takes the descriptor of KVM_CREATE_VM; `run_size` is KVM_GET_VCPU_MMAP_SIZE.
    vm(unique_fd fd, std::size_t run_size) noexcept : fd_(std::move(fd)), run_size_(run_size) {}

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }

    [[nodiscard]] result<> map(std::uint32_t slot, gpa at, std::span<std::byte> memory) noexcept {
        kvm_userspace_memory_region region{};
        region.slot = slot;
        region.guest_phys_addr = at.raw;
        region.memory_size = memory.size();
        region.userspace_addr = reinterpret_cast<std::uint64_t>(memory.data());
        KTSTR_CHECK(ioctl_struct(fd_.get(), KVM_SET_USER_MEMORY_REGION, region, "KVM_SET_USER_MEMORY_REGION"));
        return {};
    }

    [[nodiscard]] result<vcpu> create_vcpu(vcpu_index, std::uint32_t id) noexcept {
        KTSTR_TRY(int const fd, ioctl_value(fd_.get(), KVM_CREATE_VCPU, id, "KVM_CREATE_VCPU"));
        return vcpu::adopt(unique_fd(fd), run_size_);
    }

    [[nodiscard]] result<> connect_irq(gsi line, int eventfd) noexcept {
        kvm_irqfd request{};
        request.fd = static_cast<std::uint32_t>(eventfd);
        request.gsi = line.raw;
        KTSTR_CHECK(ioctl_struct(fd_.get(), KVM_IRQFD, request, "KVM_IRQFD"));
        return {};
    }

    [[nodiscard]] result<> connect_notify(gpa at, std::uint32_t length, std::uint64_t value, int eventfd) noexcept {
        kvm_ioeventfd request{};
        request.datamatch = value;
        request.addr = at.raw;
        request.len = length;
        request.fd = eventfd;
        request.flags = KVM_IOEVENTFD_FLAG_DATAMATCH;
        KTSTR_CHECK(ioctl_struct(fd_.get(), KVM_IOEVENTFD, request, "KVM_IOEVENTFD"));
        return {};
    }

private:
    unique_fd fd_;
    std::size_t run_size_;
};
static_assert(Vm<vm>);

} // namespace ktstr::kvm
