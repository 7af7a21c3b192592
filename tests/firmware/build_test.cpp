// SPDX-License-Identifier: Apache-2.0
#include "ktstr/firmware/acpi/build.hpp"

#include "firmware/machine.hpp"

#include <doctest/doctest.h>

using namespace ktstr;
using namespace ktstr::test;

TEST_CASE("build_acpi: a kernel finds every table from the root pointer, and every checksum holds") {
    machine const m({2, 4, 2, 2});
    auto const all = m.tables();
    auto const root = all.find("RSDP");
    CHECK(text(root, 0, 8) == "RSD PTR ");
    CHECK(text(root, 9, 6) == "KTSTR ");
    CHECK(sum(root.first(20)) == 0);
    CHECK(sum(root) == 0);
    CHECK(all.rsdp == gpa{0xe0000});
    auto const at = [&](std::uint64_t address) {
        auto const offset = static_cast<std::size_t>(address - all.place.raw);
        return std::span(all.image).subspan(offset, number(all.image, offset + 4, 4));
    };
    auto const xsdt = at(number(root, 24, 8));
    CHECK(text(xsdt, 0, 4) == "XSDT");
    std::vector<std::string> names;
    for (std::size_t i = 36; i < xsdt.size(); i += 8) {
        auto const table = at(number(xsdt, i, 8));
        names.push_back(text(table, 0, 4));
        CHECK(sum(table) == 0);
        CHECK(number(xsdt, i, 8) % 16 == 0);
        CHECK(text(table, 10, 6) == "KTSTR ");
        CHECK(text(table, 16, 8) == "KTSR" + names.back());
        CHECK(table.data() == all.find(names.back()).data());
    }
    CHECK(names == std::vector<std::string>{"FACP", "APIC", "SRAT", "SLIT", "HMAT"});
    auto const dsdt = at(number(all.find("FACP"), 140, 8));
    CHECK(text(dsdt, 0, 4) == "DSDT");
    CHECK(sum(dsdt) == 0);
    CHECK(sum(xsdt) == 0);
}

TEST_CASE("build_acpi: one node needs no HMAT") { CHECK(machine({1, 2, 2, 1}).tables().find("HMAT").empty()); }

TEST_CASE("build_acpi: the largest machines fit into 128 KiB") {
    for (auto const& each : presets()) {
        machine m(each.shape, layout_of(each).value());
        m.add_virtio(32);
        CHECK(m.tables().image.size() <= 128 * KiB);
    }
    machine nodes({64, 64, 3, 1});
    nodes.add_virtio(32);
    CHECK(nodes.tables().image.size() < 64 * KiB);
}

TEST_CASE("build_acpi: what it refuses, and where") {
    machine m({2, 2, 2, 1});
    auto const where = [](acpi_config const& config) { return build_acpi(config).error(); };
    auto config = m.config();
    config.apic_ids = config.apic_ids.first(3);
    CHECK(where(config) == error{errc::invalid_argument, 0, 3, "acpi.apic_ids"});
    config = m.config();
    config.place = gpa{0xe0008};
    CHECK(where(config) == error{errc::invalid_argument, 0, 0xe0008, "acpi.place"});
    config = m.config();
    config.room = bytes{1000};
    CHECK(where(config).code == errc::no_space);
    CHECK(where(config).where == "acpi.room");
    m.ram[0].node = 2;
    CHECK(where(m.config()) == error{errc::invalid_argument, 0, 2, "acpi.ram"});
    m.ram[0].node = 0;
    m.virtio[1].window = {gpa{0xfffff000}, bytes{0x2000}};
    CHECK(where(m.config()) == error{errc::out_of_range, 0, 1, "acpi.virtio.window"});
    m.add_virtio(257);
    CHECK(where(m.config()) == error{errc::out_of_range, 0, 257, "acpi.devices"});
    m.add_virtio(1);
    m.uarts[1].port = 0xfff9;
    CHECK(where(m.config()) == error{errc::out_of_range, 0, 1, "acpi.uart.port"});
    m.uarts[1].port = 0xfff8;
    CHECK(build_acpi(m.config()));
    for (auto const size : {0x10001000ULL, 1ULL << 32, ~0ULL}) {
        m.pci = {gpa{0xf0000000}, bytes{size}};
        CHECK(where(m.config()) == error{errc::out_of_range, 0, 0xf0000000, "acpi.pci"});
    }
    m.pci = {gpa{0xf0000000}, bytes{0x10000000}};
    CHECK(build_acpi(m.config()));
    m.shape.llcs = 3;
    CHECK(where(m.config()).where == "topology.llcs_per_node");
}
