// SPDX-License-Identifier: Apache-2.0
/// \file
/// Holding an x86_64 guest's clocks while it is frozen: the KVM clock, and the TSC where its offset really moves.
///
/// Source: linux Documentation/virt/kvm/api.rst 4.29 (KVM_GET_CLOCK), devices/vcpu.rst 4 (KVM_VCPU_TSC_CTRL).
#pragma once

#include "ktstr/abi/kvm.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/kvm/ioctl.hpp"
#include "ktstr/kvm/vm.hpp"
#include "ktstr/kvm/x86_64/msrs.hpp"
#include "ktstr/hv/guest_clocks.hpp"

#include <cstdint>
#include <x86intrin.h>

namespace ktstr::kvm {

namespace detail {

/// KVM_VCPU_TSC_CTRL / KVM_VCPU_TSC_OFFSET of a vCPU: moved by `by`. False where KVM has no such attribute.
[[nodiscard]] inline bool move_tsc_offset(int vcpu, std::int64_t by) noexcept {
    std::uint64_t offset = 0;
    kvm_device_attr a{};
    a.group = 0; // KVM_VCPU_TSC_CTRL of <asm/kvm.h>
    a.attr = 0;  // KVM_VCPU_TSC_OFFSET
    a.addr = reinterpret_cast<std::uint64_t>(&offset);
    if (!ioctl_struct(vcpu, KVM_GET_DEVICE_ATTR, a, "KVM_GET_DEVICE_ATTR"))
        return false;
    offset += static_cast<std::uint64_t>(by);
    return ioctl_struct(vcpu, KVM_SET_DEVICE_ATTR, a, "KVM_SET_DEVICE_ATTR").has_value();
}

/// Whether moving the offset of this vCPU moves what the guest's TSC shows. It is moved and moved back.
[[nodiscard]] inline bool tsc_moves(int vcpu) noexcept {
    constexpr std::int64_t far = std::int64_t{1} << 44; // hours: no pause between the reads looks like it
    auto const before = get_msr(vcpu, 0x10);
    if (!before || !move_tsc_offset(vcpu, far))
        return false;
    auto const moved = get_msr(vcpu, 0x10);
    return move_tsc_offset(vcpu, -far) && moved && *moved - *before >= static_cast<std::uint64_t>(far);
}

} // namespace detail

/// The clocks of one machine; model of `GuestClocks`.
class guest_clocks {
public:
    /// Notes the KVM clock and the host's TSC. May be called while vCPUs are still on their way out.
    template <class Vm>
    void note(Vm& vm) noexcept {
        kvm_clock_data now{};
        have_clock_ = ioctl_struct(vm.fd(), KVM_GET_CLOCK, now, "KVM_GET_CLOCK").has_value();
        clock_ = now.clock;
        tsc_ = __rdtsc();
    }

    /// Which clocks `restore` will put back. Every vCPU is parked. The first call tries whether a TSC offset moves.
    template <class Each>
    [[nodiscard]] clocks_held holdable(Each each) noexcept {
        if (!probed_) {
            probed_ = true;
            each([this, first = true](auto& cpu) mutable {
                if (first)
                    tsc_moves_ = detail::tsc_moves(cpu.fd());
                first = false;
            });
        }
        return {have_clock_, tsc_moves_};
    }

    /// Puts the clocks back to where they were at `note`. Every vCPU is parked. `each(f)` calls `f(vcpu)` for all of them.
    template <class Vm, class Each>
    [[nodiscard]] clocks_held restore(Vm& vm, Each each) noexcept {
        clocks_held held;
        if (tsc_moves_) {
            auto const passed = static_cast<std::int64_t>(__rdtsc() - tsc_);
            held.counter = true;
            each([&](auto& cpu) { held.counter &= detail::move_tsc_offset(cpu.fd(), -passed); });
        }
        if (have_clock_) {
            kvm_clock_data back{};
            back.clock = clock_;
            held.kvm_clock = ioctl_struct(vm.fd(), KVM_SET_CLOCK, back, "KVM_SET_CLOCK").has_value();
        }
        return held;
    }

private:
    std::uint64_t clock_ = 0;
    std::uint64_t tsc_ = 0;
    bool have_clock_ = false;
    bool probed_ = false;
    bool tsc_moves_ = false;
};

} // namespace ktstr::kvm
