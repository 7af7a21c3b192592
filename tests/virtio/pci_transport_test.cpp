// SPDX-License-Identifier: Apache-2.0
#include "ktstr/virtio/pci_transport.hpp"

#include "ktstr/abi/virtio_pci.hpp"
#include "suites/pci_function_suite.hpp"
#include "suites/virtio_device_suite.hpp"
#include "virtio/driver.hpp"
#include "virtio/pci_driver.hpp"

#include <doctest/doctest.h>

using namespace ktstr;
using namespace ktstr::test;
using field = virtio_pci_reg;

namespace {
using device_type = null_device<buffer_memory, counted_msix>;

struct bare {
    guest_ram ram;
    device_type device_{ram.memory};
    device_type& device() { return device_; }
    template <class Device>
    using transport = pci_as_mmio<Device>;
};
struct as_function : bare {
    virtio_pci<device_type> pci{device_, gpa{pci_as_mmio<device_type>::bar}};
    virtio_pci<device_type>& function() { return pci; }
};
struct fixture : bare {
    pci_as_mmio<device_type> pci{device_};
    virtio_pci<device_type>& function = pci.function();
    driver<pci_as_mmio<device_type>> guest{pci, ram};
    static constexpr std::uint64_t all = ~std::uint64_t{0};

    std::uint32_t get(field f) {
        auto const at = static_cast<std::uint64_t>(f);
        return pci.get(at, virtio_pci_field_width(at));
    }
    void put(field f, std::uint32_t value) {
        auto const at = static_cast<std::uint64_t>(f);
        pci.put(at, virtio_pci_field_width(at), value);
    }
    std::uint64_t sent() { return device_.core().irq().table().sink().count; }
    /// As Linux: MSI-X on, both vectors aimed and open, configuration on 0, the queue on 1.
    void aim() {
        put_config(function, 0x98 + pci::msix_control, 2, pci::msix_enable);
        for (std::uint64_t v = 0; v < 2; ++v) {
            pci.put(virtio_pci_bar::msix + 16 * v, 4, 0xfee00000);
            pci.put(virtio_pci_bar::msix + 16 * v + 8, 4, 0x40 + static_cast<std::uint32_t>(v));
            pci.put(virtio_pci_bar::msix + 16 * v + 12, 4, 0);
        }
        put(field::config_vector, 0);
        put(field::queue_sel, 0);
        put(field::queue_vector, 1);
    }
};
} // namespace

TEST_CASE_TEMPLATE_INVOKE(pci_function_suite, as_function);
TEST_CASE_TEMPLATE_INVOKE(pci_function_bar_suite, as_function);
TEST_CASE_TEMPLATE_INVOKE(pci_function_garbage_suite, as_function);
TEST_CASE_TEMPLATE_INVOKE(virtio_device_suite, bare);
TEST_CASE_TEMPLATE_INVOKE(virtio_device_return_suite, bare);
TEST_CASE_TEMPLATE_INVOKE(virtio_device_fault_suite, bare);
TEST_CASE_TEMPLATE_INVOKE(virtio_device_config_suite, bare);
TEST_CASE_TEMPLATE_INVOKE(virtio_device_garbage_suite, bare);

TEST_CASE_FIXTURE(fixture, "virtio_pci: a modern device with every capability a driver needs, each inside the BAR") {
    CHECK(config(function, 0, 4) == 0x10401af4);
    CHECK(config(function, 8, 1) == 1);
    CHECK(config(function, 0x3d, 1) == 0); // no INTx
    unsigned found = 0;
    for (auto at = config(function, pci::reg::capabilities, 1); at != 0; at = config(function, at + 1, 1)) {
        if (config(function, at, 1) == pci::capability_msix) {
            CHECK((config(function, at + 2, 2) & 0x7ff) == 1);
            CHECK(config(function, at + 4, 4) == virtio_pci_bar::msix);
            CHECK(config(function, at + 8, 4) == virtio_pci_bar::pending);
            found |= 0x100;
            continue;
        }
        auto const type = config(function, at + 3, 1);
        auto const offset = config(function, at + 8, 4);
        auto const length = config(function, at + 12, 4);
        CHECK(config(function, at, 1) == 9);
        CHECK(config(function, at + 2, 1) >= 16);
        CHECK(config(function, at + 4, 1) == 0);
        if (type != 5)
            CHECK((length > 0 && offset + length <= virtio_pci_bar::size));
        if (type == 1)
            CHECK(length == 56);
        if (type == 2)
            CHECK(config(function, at + 16, 4) == 4);
        found |= 1u << type;
    }
    CHECK(found == (0x100 | 0b111110));
}

TEST_CASE_FIXTURE(fixture, "virtio_pci: fields answer their own width only") {
    put(field::status, 1);
    CHECK(pci.get(0x14, 1) == 1);
    CHECK(pci.get(0x14, 2) == 0);
    CHECK(pci.get(0x14, 4) == 0);
    pci.put(0x14, 4, 3);
    CHECK(get(field::status) == 1);
    CHECK(pci.get(0x12, 2) == 1); // one queue
    CHECK(pci.get(0x13, 1) == 0);
    CHECK(pci.get(0x38, 2) == 0); // behind the last field
    std::array<std::byte, 8> eight{};
    CHECK(function.memory_read(pci_as_mmio<device_type>::bar, eight));
    CHECK(eight == std::array<std::byte, 8>{});
}

TEST_CASE_FIXTURE(fixture, "virtio_pci: a queue's size is the largest until it is written, and comes back after a reset") {
    CHECK(guest.negotiate(all));
    put(field::queue_sel, 0);
    CHECK(get(field::queue_size) == 16);
    put(field::queue_size, 8);
    CHECK(get(field::queue_size) == 8);
    put(field::queue_sel, 1);
    CHECK(get(field::queue_size) == 0);
    CHECK(get(field::queue_notify_offset) == 0);
    put(field::queue_enable, 1);
    put(field::status, 0);
    put(field::queue_sel, 0);
    CHECK(get(field::queue_size) == 16);
}

TEST_CASE_FIXTURE(fixture, "virtio_pci: addresses use all 64 bits; a layout that cannot be is a fault") {
    CHECK(guest.negotiate(all));
    put(field::queue_sel, 0);
    put(field::queue_desc_low, 0x55667788);
    put(field::queue_desc_high, 0x11223344);
    CHECK(device_.core().queue(0).layout.desc == gpa{0x1122334455667788});
    CHECK(get(field::queue_desc_high) == 0x11223344);
    put(field::queue_enable, 2);
    CHECK(get(field::status) == 0x0b);
    put(field::queue_enable, 1);
    CHECK(get(field::queue_enable) == 0);
    CHECK(get(field::status) == (0x0b | 0x40));
}

TEST_CASE_FIXTURE(fixture, "virtio_pci: a used buffer sends its queue's vector, and reading the interrupt status clears it") {
    REQUIRE(guest.bring_up(all));
    aim();
    CHECK(get(field::queue_vector) == 1);
    auto& q = guest.queues[0];
    auto const at = ram.allocate(4);
    guest.add(q, {{at, 4, false}});
    guest.kick(0);
    CHECK(guest.get_used(q).has_value());
    CHECK(sent() == 1);
    CHECK(device_.core().irq().table().sink().last == msi_message{0xfee00000, 0x41});
    CHECK(pci.get(virtio_pci_bar::isr, 1) == 1);
    CHECK(pci.get(virtio_pci_bar::isr, 1) == 0);
    {
        mutex_guard const hold(device_.core().lock());
        device_.core().notify_config();
    }
    CHECK(sent() == 2);
    CHECK(device_.core().irq().table().sink().last.data == 0x40);
    CHECK(get(field::config_generation) == 1);
    // masked meanwhile: it waits in the pending bits
    pci.put(virtio_pci_bar::msix + 16 + 12, 4, 1);
    guest.add(q, {{at, 4, false}});
    function.queue_notify(0);
    CHECK(sent() == 2);
    CHECK(pci.get(virtio_pci_bar::pending, 4) == 2);
    pci.put(virtio_pci_bar::msix + 16 + 12, 4, 0);
    CHECK(sent() == 3);
    put(field::status, 0);
    CHECK(get(field::queue_vector) == virtio_no_vector);
    CHECK(get(field::config_vector) == virtio_no_vector);
    put(field::config_vector, 2); // there are two
    CHECK(get(field::config_vector) == virtio_no_vector);
}

TEST_CASE_FIXTURE(fixture, "virtio_pci: the BAR follows the guest, doorbell included") {
    REQUIRE(guest.bring_up(all));
    auto& q = guest.queues[0];
    guest.add(q, {{ram.allocate(4), 4, false}});
    put_config(function, pci::reg::bar0, 4, 0xd1238000);
    std::array<std::byte, 2> const zero{};
    CHECK_FALSE(function.memory_write(pci_as_mmio<device_type>::bar + virtio_pci_bar::notify, zero));
    CHECK_FALSE(guest.get_used(q).has_value());
    CHECK(function.memory_write(0xd1238000 + virtio_pci_bar::notify, zero));
    CHECK(guest.get_used(q).has_value());
}

TEST_CASE_FIXTURE(fixture, "virtio_pci: the window in configuration space reaches the BAR, decoding or not") {
    put_config(function, pci::reg::command, 2, 0);
    auto const at = 0x84u;
    REQUIRE(config(function, at + 3, 1) == 5);
    put_config(function, at + 8, 4, 0x14);
    put_config(function, at + 12, 4, 1);
    put_config(function, at + 16, 4, 1);
    CHECK(config(function, at + 16, 1) == 1);
    CHECK(device_.core().status() == 1);
    put_config(function, at + 8, 4, 0x12);
    put_config(function, at + 12, 4, 2);
    CHECK(config(function, at + 16, 4) == 1);
    // aimed at nothing, it does nothing
    for (std::uint32_t const length : {0u, 3u, 8u, 0xffffffffu})
        for (std::uint32_t const offset : {0x14u, virtio_pci_bar::size, 0xffffffffu}) {
            put_config(function, at + 8, 4, offset);
            put_config(function, at + 12, 4, length);
            put_config(function, at + 16, 4, 0);
            (void)config(function, at + 16, 4);
        }
    put_config(function, at + 4, 1, 1); // another BAR
    put_config(function, at + 8, 4, 0x14);
    put_config(function, at + 12, 4, 1);
    put_config(function, at + 16, 4, 0);
    CHECK(device_.core().status() == 1);
}
