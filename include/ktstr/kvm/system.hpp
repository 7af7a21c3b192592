// SPDX-License-Identifier: Apache-2.0
/// \file
/// /dev/kvm: opening it, asking what it can do, making machines.
#pragma once

#include "ktstr/abi/kvm.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/hv/hypervisor.hpp"
#include "ktstr/kvm/ioctl.hpp"
#include "ktstr/kvm/vm.hpp"
#include "ktstr/sys/fd.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <utility>

#if defined(__x86_64__)
#include "ktstr/arch/x86_64/map.hpp"
#endif

namespace ktstr::kvm {

/// What a KVM machine is made with.
struct vm_options {
    bool irqchip = true; ///< In-kernel interrupt controller (and, on x86, the PIT without its speaker).
};

/// The KVM of this host; model of `Hypervisor`.
class hypervisor {
public:
    using vm_type = vm;
    static constexpr bool native = true; ///< Its vCPUs have the registers of a real architecture.
    using vm_options = kvm::vm_options;

    /// Opens /dev/kvm. `errc::not_found`: this machine has no KVM. `errc::permission`: this user may not use it.
    /// `errc::unsupported` with the number: the API version is not 12.
    [[nodiscard]] static result<hypervisor> open() noexcept {
        hypervisor out;
        auto fd = unique_fd::open("/dev/kvm", O_RDWR);
        if (!fd)
            return std::unexpected(error{fd.error().code, fd.error().os_errno, 0, "/dev/kvm"});
        out.fd_ = std::move(*fd);
        KTSTR_TRY(int const version, ioctl_value(out.fd_.get(), KVM_GET_API_VERSION, 0, "KVM_GET_API_VERSION"));
        if (version != KVM_API_VERSION)
            return fail(errc::unsupported, "KVM_GET_API_VERSION", static_cast<std::uint64_t>(version));
        KTSTR_TRY(int const size, ioctl_value(out.fd_.get(), KVM_GET_VCPU_MMAP_SIZE, 0, "KVM_GET_VCPU_MMAP_SIZE"));
        if (static_cast<std::size_t>(size) < sizeof(kvm_run))
            return fail(errc::unsupported, "KVM_GET_VCPU_MMAP_SIZE", static_cast<std::uint64_t>(size));
        out.run_size_ = static_cast<std::size_t>(size);
        return out;
    }

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }

    /// KVM_CHECK_EXTENSION: 0 when the capability is absent.
    [[nodiscard]] int capability(long number) const noexcept {
        auto const r = ioctl_value(fd_.get(), KVM_CHECK_EXTENSION, static_cast<unsigned long>(number), "KVM_CHECK_EXTENSION");
        return r ? *r : 0;
    }

    /// Makes a machine. KVM_CREATE_VM gives EINTR while a signal is pending; that is retried.
    [[nodiscard]] result<vm> create_vm(vm_options const& options) noexcept {
        if (capability(KVM_CAP_IMMEDIATE_EXIT) == 0)
            return fail(errc::unsupported, "KVM_CAP_IMMEDIATE_EXIT");
        KTSTR_TRY(int const fd, ioctl_value(fd_.get(), KVM_CREATE_VM, 0, "KVM_CREATE_VM"));
        vm out(unique_fd(fd), run_size_);
#if defined(__x86_64__)
        KTSTR_CHECK(ioctl_value(fd, KVM_SET_TSS_ADDR, x86_map::kvm_tss.raw, "KVM_SET_TSS_ADDR"));
        __u64 identity = x86_map::kvm_identity_map.raw;
        KTSTR_CHECK(ioctl_struct(fd, KVM_SET_IDENTITY_MAP_ADDR, identity, "KVM_SET_IDENTITY_MAP_ADDR"));
        if (options.irqchip) {
            // Guests with APIC ids above 254 need 32-bit destinations and no broadcast alias of id 255.
            kvm_enable_cap cap{};
            cap.cap = KVM_CAP_X2APIC_API;
            cap.args[0] = KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK;
            if (capability(KVM_CAP_X2APIC_API) != 0)
                KTSTR_CHECK(ioctl_struct(fd, KVM_ENABLE_CAP, cap, "KVM_CAP_X2APIC_API"));
            KTSTR_CHECK(ioctl_value(fd, KVM_CREATE_IRQCHIP, 0, "KVM_CREATE_IRQCHIP"));
            kvm_pit_config pit{};
            pit.flags = KVM_PIT_SPEAKER_DUMMY;
            KTSTR_CHECK(ioctl_struct(fd, KVM_CREATE_PIT2, pit, "KVM_CREATE_PIT2"));
        }
#else
        static_cast<void>(options);
#endif
        return out;
    }

private:
    hypervisor() = default;
    unique_fd fd_;
    std::size_t run_size_ = 0;
};
static_assert(Hypervisor<hypervisor>);

} // namespace ktstr::kvm
