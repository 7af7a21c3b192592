// SPDX-License-Identifier: Apache-2.0
#include "ktstr/virtio/msix_irq.hpp"

#include "suites/irq_line_suite.hpp"

#include <doctest/doctest.h>
#include <utility>

using namespace ktstr;

namespace {
using irq_type = virtio_msix_irq<counting_msi, 4>;
irq_type ready() {
    irq_type irq;
    irq.table().set_control(pci::msix_enable);
    std::array<std::byte, 4> const open{};
    irq.table().write(12, open);
    irq.table().write(28, open);
    return irq;
}
struct probe {
    irq_type irq = [] {
        auto i = ready();
        i.set_config_vector(0);
        return i;
    }();
    irq_type& line() { return irq; }
    std::uint64_t arrived() { return std::exchange(irq.table().sink().count, 0); }
    std::uint64_t expected(std::uint64_t n) { return n; }
};
} // namespace

TEST_CASE_TEMPLATE_INVOKE(irq_line_suite, probe);

TEST_CASE("virtio_msix_irq: each cause has the vector it was given, and none after a reset") {
    auto irq = ready();
    auto& sent = irq.table().sink().count;
    irq.pulse_used(0);
    irq.pulse_config();
    CHECK(sent == 0);
    irq.set_queue_vector(3, 1);
    irq.set_config_vector(0);
    irq.pulse_used(3);
    irq.pulse_used(2);
    CHECK(sent == 1);
    irq.pulse_config();
    CHECK(sent == 2);
    irq.clear_vectors();
    irq.pulse_used(3);
    irq.pulse_config();
    CHECK(sent == 2);
}

TEST_CASE("virtio_msix_irq: a vector or queue that is not there reads back as none") {
    auto irq = ready();
    irq.set_config_vector(2);
    CHECK(irq.config_vector() == virtio_no_vector);
    irq.set_queue_vector(1, 1);
    CHECK(irq.queue_vector(1) == 1);
    irq.set_queue_vector(1, 0x8001);
    CHECK(irq.queue_vector(1) == virtio_no_vector);
    irq.set_queue_vector(4, 0);
    CHECK(irq.queue_vector(4) == virtio_no_vector);
    irq.pulse_used(4);
    irq.pulse_used(~std::size_t{0});
    CHECK(irq.table().sink().count == 0);
}
