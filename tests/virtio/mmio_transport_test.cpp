// SPDX-License-Identifier: Apache-2.0
#include "ktstr/virtio/mmio_transport.hpp"

#include "suites/bus_device_suite.hpp"
#include "suites/virtio_device_suite.hpp"
#include "virtio/driver.hpp"

#include <doctest/doctest.h>
#include <vector>

using namespace ktstr;
using namespace ktstr::test;
using reg = virtio_mmio_reg;

namespace {
using device_type = null_device<buffer_memory, counting_irq>;

struct bare {
    guest_ram ram;
    device_type device_{ram.memory};
    device_type& device() { return device_; }
};
struct behind_mmio : bare {
    virtio_mmio<device_type> mmio{device_};
    virtio_mmio<device_type>& device() { return mmio; }
    std::uint64_t window() { return virtio_mmio_window; }
};
struct fixture : behind_mmio {
    driver<virtio_mmio<device_type>> guest{mmio, ram};
    static constexpr std::uint64_t all = ~std::uint64_t{0};
};
} // namespace

TEST_CASE_TEMPLATE_INVOKE(bus_device_suite, behind_mmio);
TEST_CASE_TEMPLATE_INVOKE(bus_device_fill_suite, behind_mmio);
TEST_CASE_TEMPLATE_INVOKE(virtio_device_suite, bare);
TEST_CASE_TEMPLATE_INVOKE(virtio_device_return_suite, bare);
TEST_CASE_TEMPLATE_INVOKE(virtio_device_fault_suite, bare);
TEST_CASE_TEMPLATE_INVOKE(virtio_device_config_suite, bare);
TEST_CASE_TEMPLATE_INVOKE(virtio_device_garbage_suite, bare);

TEST_CASE_FIXTURE(fixture, "virtio_mmio: identity registers read as the specification says and cannot be written") {
    for (int round = 0; round < 2; ++round) {
        CHECK(guest.get(reg::magic) == 0x74726976);
        CHECK(guest.get(reg::version) == 2);
        CHECK(guest.get(reg::device_id) == 0);
        CHECK(guest.get(reg::vendor_id) == 0x5254534b);
        CHECK(guest.get(reg::shm_len_low) == 0xffffffff);
        CHECK(guest.get(reg::shm_len_high) == 0xffffffff);
        CHECK(guest.get(reg::queue_reset) == 0);
        for (std::uint64_t offset = 0; offset < 0x10; offset += 4)
            guest.put(offset, 0x12345678);
    }
}

TEST_CASE_FIXTURE(fixture, "virtio_mmio: only aligned 32-bit accesses reach registers") {
    for (std::size_t const length : {1u, 2u, 8u}) {
        std::vector<std::byte> data(length, std::byte{0x77});
        mmio.read(0, data);
        CHECK(data == std::vector<std::byte>(length, std::byte{0}));
        std::vector<std::byte> const one(length, std::byte{1});
        mmio.write(0x70, one);
        CHECK(guest.status() == 0);
    }
    std::array<std::byte, 4> four{};
    mmio.read(2, four);
    CHECK(four == std::array<std::byte, 4>{});
    mmio.write(0x6e, std::array{std::byte{0}, std::byte{0}, std::byte{1}, std::byte{0}});
    CHECK(guest.status() == 0);
}

TEST_CASE_FIXTURE(fixture, "virtio_mmio: the status register is the state machine") {
    guest.put(reg::status, 0x0f); // not in one go
    CHECK(guest.status() == 0);
    guest.put(reg::status, 0x01);
    guest.put(reg::status, 0x02); // clears a bit
    CHECK(guest.status() == 0x01);
    guest.put(reg::status, 0x03);
    guest.put(reg::status, 0x07); // features first
    CHECK(guest.status() == 0x03);
    guest.put(reg::status, 0x103); // beyond the field
    CHECK(guest.status() == 0x03);
    guest.put(reg::status, 0x83);
    CHECK(guest.status() == 0x83);
    guest.put(reg::status, 0x100); // not a reset
    CHECK(guest.status() == 0x83);
    guest.put(reg::status, 0);
    CHECK(guest.status() == 0);
}

TEST_CASE_FIXTURE(fixture, "virtio_mmio: features are offered in halves, and what was not offered is refused") {
    auto const offer = virtio_feature::version_1 | virtio_feature::indirect_desc;
    CHECK(guest.offered() == offer);
    guest.put(reg::device_features_sel, 2);
    CHECK(guest.get(reg::device_features) == 0);
    guest.put(reg::device_features_sel, 0xffffffff);
    CHECK(guest.get(reg::device_features) == 0);

    CHECK(guest.negotiate(all));
    CHECK(device_.core().driver_features() == offer);
    guest.put(reg::driver_features_sel, 0);
    guest.put(reg::driver_features, 0); // too late
    CHECK(device_.core().driver_features() == offer);

    CHECK_FALSE(guest.negotiate(virtio_feature::indirect_desc)); // a legacy driver
    CHECK(guest.status() == 0x03);
    guest.put(reg::driver_features_sel, 1);
    guest.put(reg::driver_features, 1);
    guest.put(reg::driver_features_sel, 0);
    guest.put(reg::driver_features, 1); // never offered
    guest.add_status(virtio_status::features_ok);
    CHECK(guest.status() == 0x03);
    guest.put(reg::driver_features_sel, 5);
    guest.put(reg::driver_features, 0xffffffff); // no such half
    guest.put(reg::driver_features_sel, 0);
    guest.put(reg::driver_features, 0);
    guest.add_status(virtio_status::features_ok); // it may try again
    CHECK(guest.status() == 0x0b);
}

TEST_CASE_FIXTURE(fixture, "virtio_mmio: queues are set up after FEATURES_OK and before DRIVER_OK only") {
    guest.put(reg::queue_sel, 0);
    CHECK(guest.get(reg::queue_num_max) == 16);
    guest.put(reg::queue_sel, 1);
    CHECK(guest.get(reg::queue_num_max) == 0);
    CHECK(guest.get(reg::queue_ready) == 0);
    guest.put(reg::queue_ready, 1);
    guest.put(reg::queue_num, 16);
    CHECK(guest.get(reg::queue_ready) == 0);

    CHECK_FALSE(guest.set_up_queue(0)); // in phase reset
    CHECK(guest.negotiate(all));
    CHECK(guest.set_up_queue(0));
    auto const good = guest.queues[0];
    guest.put(reg::queue_num, 3); // while ready: ignored
    guest.put64(reg::queue_desc_low, 0);
    CHECK(guest.get(reg::queue_ready) == 1);
    CHECK(device_.core().queue(0).layout.size == good.size);
    CHECK(device_.core().queue(0).layout.desc == good.desc);
    guest.put(reg::queue_ready, 0);
    CHECK(guest.get(reg::queue_ready) == 0);
    guest.put(reg::queue_ready, 1);
    guest.add_status(virtio_status::driver_ok);
    guest.put(reg::queue_ready, 0);
    guest.put(reg::queue_ready, 1); // live: too late
    CHECK(guest.get(reg::queue_ready) == 0);
    CHECK(guest.status() == 0x0f);
}

TEST_CASE_FIXTURE(fixture, "virtio_mmio: addresses use all 64 bits") {
    CHECK(guest.negotiate(all));
    guest.put(reg::queue_sel, 0);
    guest.put64(reg::queue_desc_low, 0x1122334455667788);
    guest.put64(reg::queue_driver_low, 0x99aabbccddeeff00);
    guest.put64(reg::queue_device_low, 0x0123456789abcdef);
    auto const& layout = device_.core().queue(0).layout;
    CHECK(layout.desc == gpa{0x1122334455667788});
    CHECK(layout.avail == gpa{0x99aabbccddeeff00});
    CHECK(layout.used == gpa{0x0123456789abcdef});
    guest.put(reg::queue_num, 0x10010); // must not become 16
    CHECK(layout.size == 0);
    guest.put(reg::queue_ready, 1);
    CHECK(guest.get(reg::queue_ready) == 0);
    CHECK(guest.status() == (0x0b | 0x40)); // the layout cannot be
    CHECK(device_.core().last_fault().where == "virtq.size");
    CHECK(device_.core().irq().count == 0); // no interrupt before DRIVER_OK
}

TEST_CASE_FIXTURE(fixture, "virtio_mmio: a used buffer sets its interrupt bit and one edge; acknowledging clears it") {
    REQUIRE(guest.bring_up(all));
    auto& q = guest.queues[0];
    auto const at = ram.allocate(4);
    guest.add(q, {{at, 4, false}});
    CHECK(device_.core().irq().count == 0);
    guest.kick(0);
    CHECK(guest.get_used(q).has_value());
    CHECK(device_.core().irq().count == 1);
    CHECK(guest.get(reg::interrupt_status) == 1);
    guest.put(reg::interrupt_ack, 2);
    CHECK(guest.get(reg::interrupt_status) == 1);
    guest.put(reg::interrupt_ack, 1);
    CHECK(guest.get(reg::interrupt_status) == 0);
    guest.set_avail_flags(q, virtq_avail_no_interrupt);
    guest.add(q, {{at, 4, false}});
    mmio.queue_notify(0); // as the I/O thread does
    CHECK(guest.get_used(q).has_value());
    CHECK(device_.core().irq().count == 1);
}

TEST_CASE_FIXTURE(fixture, "virtio_mmio: notifications before DRIVER_OK and after a fault do nothing") {
    CHECK(guest.negotiate(all));
    CHECK(guest.set_up_queue(0));
    auto& q = guest.queues[0];
    guest.add(q, {{ram.allocate(4), 4, false}});
    guest.kick(0);
    CHECK_FALSE(guest.get_used(q).has_value());
    guest.add_status(virtio_status::driver_ok);
    guest.kick(0);
    CHECK(guest.get_used(q).has_value());
    guest.make_available(q, 99);
    guest.kick(0);
    CHECK(guest.status() == 0x4f);
    guest.put(reg::status, 0x4f); // writing it back changes nothing
    CHECK(guest.status() == 0x4f);
    guest.kick(0);
    CHECK(device_.core().faults() == 1);
    guest.put(reg::status, 0);
    CHECK(guest.get(reg::interrupt_status) == 0);
}

TEST_CASE_FIXTURE(fixture, "virtio_mmio: configuration changes are counted and announced to a live driver only") {
    {
        mutex_guard const hold(device_.core().lock());
        device_.core().notify_config();
    }
    CHECK(guest.get(reg::config_generation) == 1);
    CHECK(device_.core().irq().count == 0);
    REQUIRE(guest.bring_up(all));
    {
        mutex_guard const hold(device_.core().lock());
        device_.core().notify_config();
    }
    CHECK(guest.get(reg::config_generation) == 2);
    CHECK(guest.get(reg::interrupt_status) == 2);
    CHECK(device_.core().irq().count == 1);
}
