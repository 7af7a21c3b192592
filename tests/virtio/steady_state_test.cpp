// SPDX-License-Identifier: Apache-2.0
/// \file
/// Once set up, the devices allocate nothing, whatever the guest and the host do: a program of its own, because it
/// replaces the global allocation functions.
#include "ktstr/base/cursor.hpp"
#include "ktstr/dev/bus.hpp"
#include "ktstr/dev/cmos_rtc.hpp"
#include "ktstr/dev/i8042.hpp"
#include "ktstr/dev/serial_16550.hpp"
#include "ktstr/virtio/console/device.hpp"
#include "ktstr/virtio/mmio_transport.hpp"
#include "virtio/driver.hpp"

#include <atomic>
#include <cstdlib>
#include <doctest/doctest.h>
#include <memory>
#include <new>

namespace {
std::atomic<std::uint64_t> allocations{0};

void* counted(std::size_t size, std::size_t alignment) {
    allocations.fetch_add(1, std::memory_order_relaxed);
    void* const p = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    if (p == nullptr)
        std::abort();
    return p;
}
} // namespace

void* operator new(std::size_t size) { return counted(size, 16); }
void* operator new(std::size_t size, std::align_val_t alignment) { return counted(size, static_cast<std::size_t>(alignment)); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

using namespace ktstr;
using namespace ktstr::test;

TEST_CASE("steady state: no device allocates on a guest access, an input or a notification") {
    using console = virtio_console<buffer_memory, null_port_host, counting_irq>;
    guest_ram ram;
    auto device = std::make_unique<console>(ram.memory);
    virtio_mmio<console> window(*device);
    serial_16550<tail_byte_sink, counting_irq> uart(tail_byte_sink(4096));
    i8042 keyboard;
    cmos_rtc<> rtc;
    auto const pio = make_bus(bus_slot{0x3f8, uart_window, &uart}, bus_slot{i8042::base, i8042::window, &keyboard},
                              bus_slot{cmos_rtc<>::base, cmos_rtc<>::window, &rtc});
    auto const mmio = make_bus(bus_slot{0xc0000000, virtio_mmio_window, &window});
    REQUIRE(pio);
    REQUIRE(mmio);
    driver guest(window, ram);
    REQUIRE(guest.bring_up(~std::uint64_t{0}));
    auto const at = ram.allocate(65536);
    auto const control = ram.allocate(8);
    std::array<std::byte, 300> const input{};

    REQUIRE(allocations.load() > 0); // the counter counts
    auto const before = allocations.load();
    for (int round = 0; round < 200; ++round) {
        std::array<std::byte, 4> data{std::byte{1}};
        for (std::uint64_t port = 0; port < 0x500; ++port) {
            (void)pio->write(port, std::span(data).first(1));
            (void)pio->read(port, std::span(data).first(1));
        }
        (void)uart.push_input(input);
        guest.add(guest.queues[1], {{at, 20000, false}, {at, 20000, false}});
        guest.kick(1);
        guest.add(guest.queues[4], {{at, 4096, true}});
        guest.kick(4);
        guest.add(guest.queues[2], {{at, 4096, true}});
        guest.kick(2);
        (void)store_guest(ram.memory, control,
                          virtio_console_control{1u, static_cast<std::uint16_t>(3 + round % 4), 1});
        guest.add(guest.queues[3], {{control, 8, false}});
        guest.kick(3);
        (void)device->push_input(1, input);
        while (guest.get_used(guest.queues[2]) || guest.get_used(guest.queues[4]))
            ;
        if (round % 50 == 49)
            device->final_drain();
        le32 const value{1};
        (void)mmio->write(0xc0000000 + virtio_mmio_notify, bytes_of(value));
        if (round == 199)
            guest.make_available(guest.queues[5], 9999); // the error path, too
        guest.kick(5);
    }
    CHECK(guest.status() == 0x4f);
    CHECK(allocations.load() == before);
}
