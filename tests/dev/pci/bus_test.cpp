// SPDX-License-Identifier: Apache-2.0
#include "ktstr/dev/pci/bus.hpp"

#include "ktstr/dev/pci/function.hpp"
#include "suites/bus_device_suite.hpp"
#include "suites/pci_function_suite.hpp"

#include <doctest/doctest.h>

using namespace ktstr;
using test::config;

namespace {
// [own_function]
/// A function with one register, writable, and no memory.
struct scratch_function {
    pci_config_space space = [] {
        pci_config_space s;
        s.set(pci::reg::vendor, std::uint32_t{0x00011af4});
        s.set(0x40, std::uint32_t{0}, ~std::uint32_t{0});
        return s;
    }();
    void config_read(std::uint32_t offset, std::span<std::byte> data) noexcept { space.read(offset, data); }
    void config_write(std::uint32_t offset, std::span<std::byte const> data) noexcept { space.write(offset, data); }
    bool memory_read(std::uint64_t, std::span<std::byte>) noexcept { return false; }
    bool memory_write(std::uint64_t, std::span<std::byte const>) noexcept { return false; }
};
static_assert(explain_pci_function<scratch_function>());
// [/own_function]

struct bridge_alone {
    pci_host_bridge bridge;
    pci_host_bridge& function() { return bridge; }
};
struct fixture {
    using bus_type = pci_bus<pci_host_bridge, scratch_function>;
    pci_host_bridge bridge;
    scratch_function scratch;
    bus_type bus{bridge, scratch};
    pci_ports<bus_type> ports{bus};
    pci_memory<bus_type> memory{bus, 0xd0000000};

    std::uint32_t in(std::uint16_t port, std::size_t size) {
        std::array<std::byte, 4> raw{};
        ports.read(port - 0xcf8u, std::span(raw).first(size));
        std::uint32_t out = 0;
        std::memcpy(&out, raw.data(), 4);
        return out;
    }
    device_effect out(std::uint16_t port, std::size_t size, std::uint32_t value) {
        std::array<std::byte, 4> raw{};
        std::memcpy(raw.data(), &value, 4);
        return ports.write(port - 0xcf8u, std::span<std::byte const>(raw).first(size));
    }
    std::uint32_t read(std::uint32_t address, std::uint16_t port = 0xcfc, std::size_t size = 4) {
        out(0xcf8, 4, address);
        return in(port, size);
    }
};
struct as_ports : fixture {
    pci_ports<bus_type>& device() { return ports; }
    std::uint64_t window() { return pci_ports<bus_type>::window; }
};
struct as_memory : fixture {
    pci_memory<bus_type>& device() { return memory; }
    std::uint64_t window() { return 0x10000000; }
};
} // namespace

TEST_CASE_TEMPLATE_INVOKE(bus_device_suite, as_ports, as_memory);
TEST_CASE_TEMPLATE_INVOKE(bus_device_fill_suite, as_ports, as_memory);
TEST_CASE_TEMPLATE_INVOKE(pci_function_suite, bridge_alone);
TEST_CASE_TEMPLATE_INVOKE(pci_function_bar_suite, bridge_alone);
TEST_CASE_TEMPLATE_INVOKE(pci_function_garbage_suite, bridge_alone);

TEST_CASE_FIXTURE(fixture, "pci_ports: Linux finds mechanism 1 and a host bridge") {
    // pci_check_type1, pci_sanity_check
    CHECK(out(0xcfb, 1, 1) == device_effect::none);
    out(0xcf8, 4, 0x80000000);
    CHECK(in(0xcf8, 4) == 0x80000000);
    CHECK(read(0x80000008, 0xcfe, 2) == 0x0600);
    CHECK(read(0x80000000) == 0x00081b36);
    CHECK(read(0x8000000c, 0xcfe, 1) == 0); // one function, type 0
}

TEST_CASE_FIXTURE(fixture, "pci_ports: devices by number; all ones where nothing is") {
    CHECK(read(0x80000800) == 0x00011af4);
    CHECK(read(0x80001000) == 0xffffffff); // device 2
    CHECK(read(0x80000900) == 0xffffffff); // function 1
    CHECK(read(0x80010000) == 0xffffffff); // bus 1
    CHECK(read(0x00000800) == 0xffffffff); // not enabled
    CHECK(read(0x80000802, 0xcfe, 2) == 0x0001); // the two low bits come from the port
    CHECK(in(0xcf8, 4) == 0x80000800);
    out(0xcf8, 4, 0xffffffff);
    CHECK(in(0xcf8, 4) == 0x80fffffc);
}

TEST_CASE_FIXTURE(fixture, "pci_ports: writes of every width reach their bytes only") {
    out(0xcf8, 4, 0x80000840);
    out(0xcfc, 4, 0x11223344);
    out(0xcfd, 1, 0xaa);
    out(0xcfe, 2, 0xbbcc);
    CHECK(in(0xcfc, 4) == 0xbbccaa44);
    CHECK(in(0xcff, 1) == 0xbb);
    CHECK(config(scratch, 0x40, 4) == 0xbbccaa44);
    out(0xcf8, 4, 0x80001040);
    out(0xcfc, 4, 0); // nobody there
    CHECK(config(scratch, 0x40, 4) == 0xbbccaa44);
}

TEST_CASE_FIXTURE(fixture, "pci_ports: the reset register keeps its port, and only bytes reach it") {
    out(0xcf8, 4, 0x80000840);
    CHECK(out(0xcf9, 1, 6) == device_effect::reset_acpi);
    CHECK(out(0xcf9, 1, 2) == device_effect::none);
    CHECK(out(0xcf9, 2, 0x0606) == device_effect::none);
    CHECK(out(0xcf8, 4, 0x80000600) == device_effect::none);
    CHECK(in(0xcf9, 1) == 0);
    CHECK(in(0xcf8, 1) == 0xff);
    CHECK(in(0xcf8, 2) == 0xffff);
}
