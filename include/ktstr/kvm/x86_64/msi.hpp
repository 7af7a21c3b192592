// SPDX-License-Identifier: Apache-2.0
/// \file
/// Message-signalled interrupts into a KVM machine with an in-kernel interrupt controller.
#pragma once

#include "ktstr/abi/kvm.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/hv/msi.hpp"
#include "ktstr/kvm/ioctl.hpp"
#include "ktstr/kvm/vm.hpp"

#include <cstdint>
#include <sys/ioctl.h>

namespace ktstr::kvm {

/// Where KVM wants the bits of a destination: bits 8 to 14, which a guest that was offered extended destination ids puts
/// into address bits 5 to 11, go to bits 8 and up of the upper half (KVM_X2APIC_API_USE_32BIT_IDS).
[[nodiscard]] constexpr std::uint64_t msi_destination(std::uint64_t address) noexcept {
    constexpr std::uint64_t extended = 0xfe0, remappable = 0x10;
    auto const id = address & extended;
    if (id == 0 || (address & remappable) != 0)
        return address;
    return (address & ~extended) | id << 35;
}
static_assert(msi_destination(0xfeeff020) == 0x1'00'feeff000);

/// Sends by KVM_SIGNAL_MSI: at once, on the caller's thread, without a route to keep up to date. What the guest programmed
/// stays in the device, where it is saved with the rest. Model of `MsiSink`.
class msi_port {
public:
    msi_port() noexcept = default;

    /// The port of `machine`, whose descriptor is borrowed. `errc::unsupported`: this KVM cannot.
    [[nodiscard]] static result<msi_port> of(vm const& machine) noexcept {
        KTSTR_TRY(int const can, ioctl_value(machine.fd(), KVM_CHECK_EXTENSION, KVM_CAP_SIGNAL_MSI, "KVM_CAP_SIGNAL_MSI"));
        if (can == 0)
            return fail(errc::unsupported, "KVM_CAP_SIGNAL_MSI");
        msi_port out;
        out.fd_ = machine.fd();
        return out;
    }

    void send(msi_message const& message) noexcept {
        auto const address = msi_destination(message.address);
        kvm_msi request{};
        request.address_lo = static_cast<std::uint32_t>(address);
        request.address_hi = static_cast<std::uint32_t>(address >> 32);
        request.data = message.data;
        // A message to a CPU that does not exist goes nowhere, as on a real bus.
        [[maybe_unused]] auto const ignored = ::ioctl(fd_, KVM_SIGNAL_MSI, &request);
    }

private:
    int fd_ = -1;
};
static_assert(MsiSink<msi_port>);

} // namespace ktstr::kvm
