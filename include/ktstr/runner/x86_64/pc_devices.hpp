// SPDX-License-Identifier: Apache-2.0
/// \file
/// The devices of an x86_64 machine and their wiring: two UARTs, the i8042's reset, ACPI reset and sleep registers, a
/// CMOS clock, and a virtio console with a terminal and a message port behind the transport of one's choice.
#pragma once

#include "ktstr/arch/x86_64/map.hpp"
#include "ktstr/arch/x86_64/x86_64.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/dev/acpi_pm.hpp"
#include "ktstr/dev/bus.hpp"
#include "ktstr/dev/byte_sink.hpp"
#include "ktstr/dev/cmos_rtc.hpp"
#include "ktstr/dev/i8042.hpp"
#include "ktstr/dev/irq_line.hpp"
#include "ktstr/dev/serial_16550.hpp"
#include "ktstr/hv/hypervisor.hpp"
#include "ktstr/mem/guest_memory.hpp"
#include "ktstr/run/bus_exits.hpp"
#include "ktstr/run/notify_thread.hpp"
#include "ktstr/runner/x86_64/virtio_wiring.hpp"
#include "ktstr/sys/fd.hpp"
#include "ktstr/virtio/console/device.hpp"
#include "ktstr/virtio/console/port_host.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace ktstr {

/// All devices of one machine. Not movable: the buses point into it. `Memory` is borrowed and outlives it. `Over` carries
/// the virtio devices: `over_mmio` or `over_pci<Sink>` (runner/x86_64/virtio_wiring.hpp).
template <GuestMemory Memory, PortHost Host, ByteSink SerialSink, class Over = over_mmio>
class pc_devices {
public:
    using serial = serial_16550<SerialSink, eventfd_irq>;
    using rtc = cmos_rtc<system_wall_clock>;
    using console_type = virtio_console<Memory, Host, typename Over::irq>;
    using wiring = typename Over::template wiring<console_type>;
    using transport = typename wiring::transport;
    using pio_bus = device_bus<bus_slot<serial>, bus_slot<serial>, bus_slot<i8042>,
                               bus_slot<typename wiring::reset_device>, bus_slot<acpi_sleep>, bus_slot<rtc>>;
    using mmio_bus = device_bus<bus_slot<typename wiring::memory_device>>;
    using exits_type = bus_exits<x86_64, pio_bus, mmio_bus>;

    /// How many virtio devices there are.
    static constexpr std::uint32_t virtio_count = 1;

    /// Makes the devices of a machine with `memory`; UART output goes to the sinks, console ports to `host`.
    [[nodiscard]] static result<std::unique_ptr<pc_devices>> make(Memory const& memory, Host host, SerialSink first,
                                                                  SerialSink second) {
        parts p;
        for (unique_fd* const fd : {&p.com1_irq, &p.com2_irq}) {
            KTSTR_TRY(*fd, unique_fd::eventfd());
        }
        KTSTR_TRY(p.console_irq, Over::make_irq());
        std::unique_ptr<pc_devices> out(
            new pc_devices(memory, std::move(host), std::move(first), std::move(second), std::move(p)));
        KTSTR_TRY(auto const pio,
                  make_bus(bus_slot<serial>{x86_map::com1, uart_window, &out->com1_},
                           bus_slot<serial>{x86_map::com2, uart_window, &out->com2_},
                           bus_slot<i8042>{0x60, 5, &out->keyboard_}, out->wiring_.reset_slot(),
                           bus_slot<acpi_sleep>{0x600, 2, &out->sleep_}, bus_slot<rtc>{0x70, 2, &out->rtc_}));
        KTSTR_TRY(auto const mmio, make_bus(out->wiring_.memory_slot()));
        out->exits_ = std::make_unique<exits_type>(pio, mmio);
        return out;
    }

    pc_devices(pc_devices const&) = delete;
    pc_devices& operator=(pc_devices const&) = delete;

    [[nodiscard]] console_type& console() noexcept { return console_; }
    [[nodiscard]] serial& com1() noexcept { return com1_; }
    [[nodiscard]] serial& com2() noexcept { return com2_; }
    /// The policy that routes exits to these devices.
    [[nodiscard]] exits_type& exits() noexcept { return *exits_; }

    /// Wires interrupts and, where the VM can, queue notifications (ioeventfd) and starts the thread that serves
    /// them. Once, before the vCPUs run. A VM without ioeventfd notifies on the vCPU's own thread. In a machine that can be
    /// frozen, `make_park` gives the thread its place: `[&](int kick) { return runner.add_worker(kick); }`.
    template <Vm V, class MakePark>
    [[nodiscard]] result<> connect(V& vm, MakePark make_park) {
        KTSTR_CHECK(vm.connect_irq(x86_map::com1_gsi, irq_fds_[0]));
        KTSTR_CHECK(vm.connect_irq(x86_map::com2_gsi, irq_fds_[1]));
        KTSTR_CHECK(wiring_.connect_irq(vm));
        std::vector<int> events;
        std::vector<std::uint16_t> served;
        for (std::uint16_t queue = 0; queue < transport::queue_count(); ++queue) {
            // Where the driver spins until we have looked, the vCPU's own exit is the quickest way to look.
            if (console_type::driver_spins_on(queue))
                continue;
            KTSTR_TRY(auto event, unique_fd::eventfd());
            auto const done = vm.connect_notify(wiring::notify_at(queue), wiring::notify_length, queue, event.get());
            if (!done && done.error().code == errc::unsupported && notify_events_.empty())
                return {};
            KTSTR_CHECK(done);
            events.push_back(event.get());
            served.push_back(queue);
            notify_events_.push_back(std::move(event));
        }
        KTSTR_TRY(auto begun, notify_thread::start("ktstr-io", std::move(events),
                                                   [this, served = std::move(served)](std::size_t i) noexcept {
                                                       wiring_.front().queue_notify(served[i]);
                                                   },
                                                   std::move(make_park)));
        io_ = std::make_unique<notify_thread>(std::move(begun));
        return {};
    }

    template <Vm V>
    [[nodiscard]] result<> connect(V& vm) {
        return connect(vm, [](int) -> result<never_parks> { return never_parks{}; });
    }

    /// Stops the I/O thread and takes what the guest left in its transmit queues. When no vCPU runs any more.
    void finish() noexcept {
        if (io_)
            io_->stop();
        console_.final_drain();
    }

    /// CPU service of the I/O thread.
    [[nodiscard]] thread_service io_service() const noexcept { return io_ ? io_->service() : thread_service{}; }

private:
    struct parts {
        unique_fd com1_irq, com2_irq;
        typename Over::irq console_irq;
    };

    pc_devices(Memory const& memory, Host host, SerialSink first, SerialSink second, parts p)
        : irq_fds_{p.com1_irq.get(), p.com2_irq.get()},
          com1_(std::move(first), eventfd_irq(std::move(p.com1_irq))),
          com2_(std::move(second), eventfd_irq(std::move(p.com2_irq))),
          console_(memory, std::move(host), std::move(p.console_irq)), wiring_(console_) {}

    std::array<int, 2> irq_fds_;
    serial com1_;
    serial com2_;
    i8042 keyboard_{};
    acpi_sleep sleep_{};
    rtc rtc_{};
    console_type console_;
    wiring wiring_;
    std::unique_ptr<exits_type> exits_;
    std::vector<unique_fd> notify_events_;
    std::unique_ptr<notify_thread> io_;
};

} // namespace ktstr
