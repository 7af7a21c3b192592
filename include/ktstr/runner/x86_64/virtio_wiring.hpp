// SPDX-License-Identifier: Apache-2.0
/// \file
/// The two ways in which the devices of an x86_64 machine carry virtio: `over_mmio` and `over_pci`.
///
/// A wiring policy names the interrupt line of its devices and, for one device type, a `wiring`: the transport with its
/// places on the two buses. The machine takes the policy as a template argument: each compiles without the other.
#pragma once

#include "ktstr/arch/x86_64/map.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/dev/acpi_pm.hpp"
#include "ktstr/dev/bus.hpp"
#include "ktstr/dev/irq_line.hpp"
#include "ktstr/dev/pci/bus.hpp"
#include "ktstr/dev/pci/function.hpp"
#include "ktstr/hv/hypervisor.hpp"
#include "ktstr/hv/msi.hpp"
#include "ktstr/sys/fd.hpp"
#include "ktstr/virtio/mmio_transport.hpp"
#include "ktstr/virtio/msix_irq.hpp"
#include "ktstr/virtio/pci_transport.hpp"

#include <cstdint>

namespace ktstr {

/// A register window a device, announced by ACPI; one IOAPIC line each.
struct over_mmio {
    using irq = eventfd_irq;
    [[nodiscard]] static result<irq> make_irq() {
        KTSTR_TRY(auto fd, unique_fd::eventfd());
        return irq(std::move(fd));
    }

    template <VirtioDevice Device>
    class wiring {
    public:
        using transport = virtio_mmio<Device>;
        using reset_device = acpi_reset;
        using memory_device = transport;
        static constexpr std::uint32_t notify_length = 4;

        explicit wiring(Device& device) noexcept : transport_(device) {}

        [[nodiscard]] transport& front() noexcept { return transport_; }
        [[nodiscard]] bus_slot<reset_device> reset_slot() noexcept { return {acpi_reset::base, acpi_reset::window, &reset_}; }
        [[nodiscard]] bus_slot<memory_device> memory_slot() noexcept {
            auto const window = x86_map::virtio(0);
            return {window.start.raw, window.size.raw, &transport_};
        }
        [[nodiscard]] static constexpr gpa notify_at(std::uint16_t) noexcept {
            return x86_map::virtio(0).start + virtio_mmio_notify;
        }
        template <Vm V>
        [[nodiscard]] result<> connect_irq(V& vm) {
            return vm.connect_irq(x86_map::virtio_gsi[0], transport_.device().core().irq().fd());
        }

    private:
        acpi_reset reset_{};
        transport transport_;
    };
};

/// A function each on PCI bus 0, interrupting by MSI-X through `Sink`, which has `static result<Sink> of(V const& vm)`.
template <MsiSink Sink>
struct over_pci {
    using irq = virtio_msix_irq<Sink>;
    [[nodiscard]] static result<irq> make_irq() { return irq(); }

    template <VirtioDevice Device>
    class wiring {
    public:
        using transport = virtio_pci<Device>;
        using bus = pci_bus<pci_host_bridge, transport>;
        using reset_device = pci_ports<bus>; // shares port 0xcf9 with the reset register
        using memory_device = pci_memory<bus>;
        static constexpr std::uint32_t notify_length = 2;

        explicit wiring(Device& device) noexcept
            : transport_(device, x86_map::pci.start), bus_(bridge_, transport_), ports_(bus_),
              memory_(bus_, x86_map::pci.start.raw) {}
        wiring(wiring const&) = delete;
        wiring& operator=(wiring const&) = delete;

        [[nodiscard]] transport& front() noexcept { return transport_; }
        [[nodiscard]] bus_slot<reset_device> reset_slot() noexcept { return {reset_device::base, reset_device::window, &ports_}; }
        [[nodiscard]] bus_slot<memory_device> memory_slot() noexcept {
            return {x86_map::pci.start.raw, x86_map::pci.size.raw, &memory_};
        }
        /// Where the doorbell is before the guest moves the BAR. After that its writes exit, and an access to the old place
        /// makes the device look at a queue once more.
        [[nodiscard]] static constexpr gpa notify_at(std::uint16_t queue) noexcept {
            return x86_map::pci.start + transport::notify_offset(queue);
        }
        template <Vm V>
        [[nodiscard]] result<> connect_irq(V& vm) {
            KTSTR_TRY(transport_.device().core().irq().table().sink(), Sink::of(vm));
            return {};
        }

    private:
        pci_host_bridge bridge_{};
        transport transport_;
        bus bus_;
        reset_device ports_;
        memory_device memory_;
    };
};

} // namespace ktstr
