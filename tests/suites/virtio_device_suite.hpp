// SPDX-License-Identifier: Apache-2.0
/// \file
/// What every `VirtioDevice` model promises beyond its signatures. `Fixture` owns a `guest_ram ram` and `auto& device()`
/// whose interrupt line counts, as `counting_irq` does. The device is driven behind virtio-mmio, or behind what the fixture
/// calls `template <class Device> using transport`.
#pragma once

#include "ktstr/virtio/device.hpp"
#include "ktstr/virtio/mmio_transport.hpp"
#include "virtio/driver.hpp"

#include <doctest/doctest.h>
#include <memory>
#include <random>
#include <type_traits>

namespace ktstr::test {
template <class Fixture, class Device>
struct transport_for {
    using type = virtio_mmio<Device>;
};
template <class Fixture, class Device>
    requires requires { typename Fixture::template transport<Device>; }
struct transport_for<Fixture, Device> {
    using type = typename Fixture::template transport<Device>;
};
} // namespace ktstr::test

TEST_CASE_TEMPLATE_DEFINE("VirtioDevice: a driver brings it up, again and again", Fixture, virtio_device_suite) {
    auto fixture = std::make_unique<Fixture>();
    auto& device = fixture->device();
    using device_type = std::remove_reference_t<decltype(device)>;
    static_assert(ktstr::explain_virtio_device<device_type>());
    typename ktstr::test::transport_for<Fixture, device_type>::type mmio(device);
    ktstr::test::driver guest(mmio, fixture->ram);
    CHECK((device.offered_features() & ktstr::virtio_feature::version_1) != 0);
    CHECK(device.offered_features() == device.offered_features());
    for (int round = 0; round < 3; ++round) {
        REQUIRE(guest.bring_up(~std::uint64_t{0}));
        for (std::uint32_t q = 0; q < mmio.queue_count() + 2u; ++q) {
            guest.kick(q); // nothing in it, or no such queue
            mmio.queue_notify(q);
        }
        CHECK(guest.status() == 0x0f);
        CHECK(device.core().faults() == 0);
        guest.put(ktstr::virtio_mmio_reg::status, 0);
        CHECK(guest.status() == 0);
        guest.put(ktstr::virtio_mmio_reg::queue_sel, 0);
        CHECK(guest.get(ktstr::virtio_mmio_reg::queue_ready) == 0);
    }
}

TEST_CASE_TEMPLATE_DEFINE("VirtioDevice: every chain comes back exactly once, whatever it holds", Fixture,
                          virtio_device_return_suite) {
    auto fixture = std::make_unique<Fixture>();
    auto& device = fixture->device();
    typename ktstr::test::transport_for<Fixture, std::remove_reference_t<decltype(device)>>::type mmio(device);
    ktstr::test::driver guest(mmio, fixture->ram);
    REQUIRE(guest.bring_up(~std::uint64_t{0}));
    auto const at = fixture->ram.allocate(8192);
    for (std::uint32_t index = 0; index < mmio.queue_count(); ++index) {
        auto& q = guest.queues[index];
        guest.add(q, {{at, 0, false}});
        guest.add(q, {{at, 8, false}});
        guest.add(q, {{at, 100, false}, {at, 100, true}});
        guest.add(q, {{at, 4096, true}});
        guest.kick(index);
        std::uint32_t seen = 0;
        while (auto const used = guest.get_used(q)) {
            CHECK(used->head < q.size);
            CHECK(used->length <= 4096);
            ++seen;
        }
        CHECK(seen <= 4); // a device may keep what it has no use for yet
    }
    CHECK(device.core().faults() == 0);
}

TEST_CASE_TEMPLATE_DEFINE("VirtioDevice: a queue that breaks the rules asks for a reset, once told, and recovers", Fixture,
                          virtio_device_fault_suite) {
    auto fixture = std::make_unique<Fixture>();
    auto& device = fixture->device();
    typename ktstr::test::transport_for<Fixture, std::remove_reference_t<decltype(device)>>::type mmio(device);
    ktstr::test::driver guest(mmio, fixture->ram);
    for (std::uint32_t index = 0; index < mmio.queue_count(); ++index) {
        REQUIRE(guest.bring_up(~std::uint64_t{0}));
        auto const faults = device.core().faults();
        guest.set_avail_idx(guest.queues[index], 0x4000);
        guest.kick(index);
        // A receive queue may be looked at only when there is something to deliver.
        if (device.core().faults() != faults) {
            CHECK(guest.status() == (0x0f | 0x40));
            CHECK((guest.get(ktstr::virtio_mmio_reg::interrupt_status) & 2) != 0);
            auto const edges = device.core().irq().count;
            guest.kick(index);
            CHECK(device.core().irq().count == edges);
            CHECK(device.core().last_fault().code == ktstr::errc::guest_fault);
        }
    }
    CHECK(device.core().faults() > 0);
    CHECK(guest.bring_up(~std::uint64_t{0}));
}

TEST_CASE_TEMPLATE_DEFINE("VirtioDevice: configuration answers any offset and length", Fixture,
                          virtio_device_config_suite) {
    auto fixture = std::make_unique<Fixture>();
    auto& device = fixture->device();
    for (std::uint64_t const offset : {0ull, 1ull, 7ull, 11ull, 12ull, 255ull, 0xeffull, ~0ull, ~0ull - 7}) {
        for (std::size_t length = 0; length <= 16; ++length) {
            std::array<std::byte, 17> a;
            std::array<std::byte, 17> b;
            a.fill(std::byte{0x5a});
            b.fill(std::byte{0xa5});
            device.read_config(offset, std::span(a).first(length));
            device.read_config(offset, std::span(b).first(length));
            CHECK(std::equal(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(length), b.begin()));
            CHECK(a[length] == std::byte{0x5a});
            device.write_config(offset, std::span<std::byte const>(a).first(length));
        }
    }
}

TEST_CASE_TEMPLATE_DEFINE("VirtioDevice: garbage in registers and rings neither crashes nor hangs it", Fixture,
                          virtio_device_garbage_suite) {
    auto fixture = std::make_unique<Fixture>();
    auto& device = fixture->device();
    auto& ram = fixture->ram;
    typename ktstr::test::transport_for<Fixture, std::remove_reference_t<decltype(device)>>::type mmio(device);
    ktstr::test::driver guest(mmio, ram);
    std::mt19937_64 random(20261122);
    for (int round = 0; round < 300; ++round) {
        // Half of the rounds start from a device that is live, so that garbage gets behind the state machine.
        if (round % 2 == 0)
            (void)guest.bring_up(~std::uint64_t{0});
        if (round % 16 == 15)
            ram.reset();
        for (int step = 0; step < 100; ++step) {
            auto const offset = 4 * (random() % 70);
            std::uint32_t value = static_cast<std::uint32_t>(random());
            if (random() % 2 == 0)
                value %= 8;
            else if (random() % 2 == 0)
                value = static_cast<std::uint32_t>(ktstr::test::guest_ram::base + random() % (4 << 20));
            if (random() % 4 == 0)
                (void)guest.get(offset);
            else
                guest.put(offset, value);
            // and the guest scribbles where its rings may be
            auto const at = static_cast<std::size_t>(random() % ram.all().size());
            ram.all()[at] = static_cast<std::byte>(random());
            if (!guest.queues.empty() && guest.queues[0].size != 0) {
                auto& q = guest.queues[random() % guest.queues.size()];
                if (q.size != 0 && random() % 4 == 0) {
                    guest.set_descriptor(q, static_cast<std::uint16_t>(random() % q.size),
                                         ktstr::gpa{ktstr::test::guest_ram::base + random() % (4 << 20)},
                                         static_cast<std::uint32_t>(random() % 70000),
                                         static_cast<std::uint16_t>(random() % 8), static_cast<std::uint16_t>(random() % 80));
                    guest.make_available(q, static_cast<std::uint16_t>(random() % q.size));
                    guest.kick(static_cast<std::uint32_t>(random() % mmio.queue_count()));
                }
            }
        }
    }
    ram.reset();
    CHECK(guest.bring_up(~std::uint64_t{0})); // and it still works
}
