// SPDX-License-Identifier: Apache-2.0
#include "ktstr/virtio/core.hpp"

#include <doctest/doctest.h>

using namespace ktstr;

namespace {
struct fixture {
    null_memory memory;
    virtio_core<null_memory, counting_irq, 2> core{memory, {}, {8, 16}};
    void step_to(virtio_phase phase) {
        for (auto const event : {virtio_event::acknowledge, virtio_event::driver, virtio_event::features_accepted,
                                 virtio_event::driver_ok}) {
            if (core.phase() != phase)
                core.apply(event);
        }
        REQUIRE(core.phase() == phase);
    }
};
constexpr error why{errc::guest_fault, 0, 7, "test"};
} // namespace

TEST_CASE_FIXTURE(fixture, "virtio_core: a fault of a live device is told once and remembered") {
    step_to(virtio_phase::driver_ok);
    CHECK(core.faults() == 0);
    core.fault(why);
    CHECK(core.phase() == virtio_phase::needs_reset);
    CHECK_FALSE(core.live());
    CHECK(core.interrupt_status() == virtio_interrupt::config_change);
    CHECK(core.irq().count == 1);
    core.fault(why);
    CHECK(core.irq().count == 1);
    CHECK(core.faults() == 2);
    CHECK(core.last_fault() == why);
}

TEST_CASE_FIXTURE(fixture, "virtio_core: a fault during set-up interrupts nobody, one before it changes nothing") {
    core.fault(why);
    CHECK(core.status() == 0);
    step_to(virtio_phase::features_ok);
    core.fault(why);
    CHECK(core.phase() == virtio_phase::needs_reset);
    CHECK(core.irq().count == 0);
    CHECK(core.interrupt_status() == 0);
}

TEST_CASE_FIXTURE(fixture, "virtio_core: reset forgets what the driver said, not what it did") {
    step_to(virtio_phase::driver_ok);
    core.set_driver_features(5);
    core.queue(1).layout = {8, gpa{1}, gpa{2}, gpa{3}};
    core.notify_config();
    core.fault(why);
    core.apply(virtio_event::reset);
    CHECK(core.status() == 0);
    CHECK(core.driver_features() == 0);
    CHECK(core.interrupt_status() == 0);
    CHECK(core.queue(1).layout.size == 0);
    CHECK(core.queue(1).layout.desc == gpa{0});
    CHECK(core.queue(1).max_size == 16);
    CHECK(core.faults() == 1);
    CHECK(core.config_generation() > 0);
}

TEST_CASE_FIXTURE(fixture, "virtio_core: features are negotiated by bit; interrupts are acknowledged by bit") {
    core.set_driver_features(virtio_feature::version_1);
    CHECK(core.negotiated(virtio_feature::version_1));
    CHECK_FALSE(core.negotiated(virtio_feature::indirect_desc));
    step_to(virtio_phase::driver_ok);
    core.notify_config();
    core.acknowledge_interrupt(~virtio_interrupt::config_change);
    CHECK(core.interrupt_status() == virtio_interrupt::config_change);
    core.acknowledge_interrupt(virtio_interrupt::config_change);
    CHECK(core.interrupt_status() == 0);
    core.notify_used(0); // not enabled: nobody to tell
    CHECK(core.irq().count == 1);
}
