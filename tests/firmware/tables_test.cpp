// SPDX-License-Identifier: Apache-2.0
// Field by field, at the offsets of the specification, so that the structures themselves are under test.
#include "ktstr/abi/acpi.hpp"
#include "ktstr/firmware/acpi/config.hpp"
#include "ktstr/firmware/acpi/fadt.hpp"
#include "ktstr/firmware/acpi/hmat.hpp"
#include "ktstr/firmware/acpi/madt.hpp"
#include "ktstr/firmware/acpi/rsdp.hpp"
#include "ktstr/firmware/acpi/slit.hpp"
#include "ktstr/firmware/acpi/srat.hpp"
#include "ktstr/firmware/acpi/table.hpp"

#include "firmware/machine.hpp"

#include <array>
#include <doctest/doctest.h>

using namespace ktstr;
using namespace ktstr::test;

TEST_CASE("fadt: reduced hardware, reset and sleep by port, nothing legacy to probe for") {
    auto const raw = acpi::make_fadt(machine({1, 1, 1, 1}).config(), gpa{0x123456780});
    REQUIRE(raw.size() == 276);
    CHECK(number(raw, 8, 1) == 6);
    CHECK(number(raw, 40, 4) == 0);            // no 32-bit DSDT: the 64-bit one counts
    CHECK(number(raw, 140, 8) == 0x123456780);
    CHECK(number(raw, 46, 2) == 0);            // no SCI
    CHECK(number(raw, 76, 4) == 0);            // no PM timer
    CHECK((number(raw, 112, 4) & (1U << 20 | 1U << 10)) == (1U << 20 | 1U << 10));
    CHECK(number(raw, 109, 2) == 0b110101);    // legacy devices, no 8042, no VGA, no ASPM, no CMOS clock
    CHECK(number(raw, 116, 4) == 0x01000801);
    CHECK(number(raw, 120, 8) == 0xcf9);
    CHECK(number(raw, 128, 1) == 6);
    CHECK(number(raw, 131, 1) == 5);
    CHECK(number(raw, 244 + 4, 8) == 0x600);
    CHECK(number(raw, 256 + 4, 8) == 0x601);
    CHECK(text(raw, 268, 5) == "KTSTR");
    machine bare({1, 1, 1, 1});
    bare.uarts.clear();
    CHECK(number(acpi::make_fadt(bare.config(), gpa{0}), 109, 2) == 0b110100);
    bare.has_8042 = true;
    CHECK(number(acpi::make_fadt(bare.config(), gpa{0}), 109, 2) == 0b110111);
}

TEST_CASE("madt: one entry a CPU in CPU order, xAPIC below 255 and x2APIC from there") {
    auto const raw = acpi::make_madt(machine({1, 1, 4, 1}, {}, {128}).config());
    CHECK(number(raw, 36, 4) == 0xfee00000);
    CHECK(number(raw, 40, 4) == 0);
    CHECK(number(raw, 44, 8) == 0x0000000100000800); // uid 0, id 0
    CHECK(number(raw, 52, 8) == 0x0000000180010800); // uid 1, id 128
    CHECK(number(raw, 60, 4) == 0x00001009);
    CHECK(number(raw, 64, 4) == 256);
    CHECK(number(raw, 68, 4) == 1);
    CHECK(number(raw, 72, 4) == 2);                  // uid
    CHECK(number(raw, 80, 4) == 384);
    CHECK(number(raw, 92, 8) == 0xfec0000000000c01);
    CHECK(number(raw, 100, 4) == 0);
    CHECK(number(raw, 104, 6) == 0x010000ff0604);    // NMI at LINT1 of all CPUs
    CHECK(number(raw, 110, 8) == 0xffffffff00000c0a);
    CHECK(number(raw, 118, 1) == 1);
    CHECK(raw.size() == 122);
    CHECK(acpi::make_madt(machine({1, 1, 4, 1}).config()).size() == 44 + 4 * 8 + 12 + 6);
}

TEST_CASE("srat: each CPU's and each region's node") {
    machine const m({2, 2, 2, 1}, {}, {256}); // ids 0 and 256 on node 0, 512 and 768 on node 1
    auto const raw = acpi::make_srat(m.config());
    CHECK(number(raw, 36, 4) == 1);
    CHECK(number(raw, 48, 8) == 0x0000000100001000); // node 0, id 0, enabled
    CHECK(number(raw, 64, 2) == 0x1802);
    CHECK(number(raw, 64 + 4, 4) == 0);
    CHECK(number(raw, 64 + 8, 4) == 256);
    CHECK(number(raw, 112 + 4, 4) == 1);
    CHECK(number(raw, 112 + 8, 4) == 768);
    CHECK(number(raw, 112 + 12, 4) == 1);
    REQUIRE(m.ram.size() == 3);
    std::size_t at = 136;
    for (auto const& region : m.ram) {
        CHECK(number(raw, at, 2) == 0x2801);
        CHECK(number(raw, at + 2, 4) == region.node);
        CHECK(number(raw, at + 8, 8) == region.range.start.raw);
        CHECK(number(raw, at + 16, 8) == region.range.size.raw);
        CHECK(number(raw, at + 28, 4) == 1);
        at += 40;
    }
    CHECK(at == raw.size());
    auto const wide = acpi::make_srat(machine({64, 64, 1, 1}).config());
    CHECK(number(wide, 48 + 63 * 16 + 2, 1) == 63);
}

TEST_CASE("slit: the matrix as declared") {
    auto const* ring = find_preset("numa4-ring");
    auto const raw = acpi::make_slit(machine(ring->shape, layout_of(*ring).value()).config());
    CHECK(number(raw, 36, 8) == 4);
    CHECK(number(raw, 44, 4) == 0x141e140a);
    CHECK(number(raw, 56, 4) == 0x0a141e14);
    CHECK(raw.size() == 60);
}

TEST_CASE("hmat: memory of its own, and how far it is from each CPU node") {
    numa_layout layout;
    layout.memory = {bytes{GiB}, bytes{0}, bytes{512 * MiB}};
    layout.distances = parse_distances("10,20,30;20,10,25;30,25,10").value();
    auto const raw = acpi::make_hmat(machine({2, 2, 2, 1}, layout).config());
    CHECK(number(raw, 40, 8) == 40ULL << 32);
    CHECK(number(raw, 48, 2) == 1);
    CHECK(number(raw, 52, 8) == 0);                       // node 0's memory belongs to node 0
    CHECK(number(raw, 80 + 12, 8) == (2ULL << 32 | 1ULL)); // node 2's is nearest to node 1
    std::size_t const latency = 120;
    CHECK(number(raw, latency, 2) == 1);
    CHECK(number(raw, latency + 4, 4) == 56);
    CHECK(number(raw, latency + 9, 1) == 0);
    CHECK(number(raw, latency + 12, 8) == (2ULL << 32 | 2ULL));
    CHECK(number(raw, latency + 24, 8) == 1000);
    CHECK(number(raw, latency + 32, 8) == 1ULL << 32);
    CHECK(number(raw, latency + 40, 8) == 2ULL << 32);
    CHECK(number(raw, latency + 48, 8) == (90ULL | 450ULL << 16 | 180ULL << 32 | 375ULL << 48));
    std::size_t const bandwidth = latency + 56;
    CHECK(number(raw, bandwidth + 9, 1) == 3);
    CHECK(number(raw, bandwidth + 48, 8) == (40000ULL | 6666ULL << 16 | 20000ULL << 32 | 8000ULL << 48));
    CHECK(raw.size() == bandwidth + 56);
}

TEST_CASE("table_bytes: length and checksum hold, whatever was appended") {
    acpi::table_bytes begun(acpi::make_header("TEST", 9));
    begun.append(le32(0x01020304));
    begun.append(std::uint8_t{0xff});
    auto const raw = std::move(begun).close();
    CHECK(raw.size() == 41);
    CHECK(number(raw, 4, 4) == 41);
    CHECK(number(raw, 8, 1) == 9);
    CHECK(text(raw, 0, 4) == "TEST");
    CHECK(text(raw, 10, 6) == "KTSTR ");
    CHECK(text(raw, 16, 8) == "KTSRTEST");
    CHECK(text(raw, 28, 4) == "KTSR");
    CHECK(sum(raw) == 0);
    CHECK(acpi::checksum_of({}) == 0);
}

TEST_CASE("rsdp and xsdt: 64-bit addresses only") {
    auto const root = acpi::make_rsdp(gpa{0x123456789a});
    auto const raw = bytes_of(root);
    CHECK(number(raw, 15, 1) == 2);
    CHECK(number(raw, 16, 4) == 0);
    CHECK(number(raw, 20, 4) == 36);
    CHECK(number(raw, 24, 8) == 0x123456789a);
    CHECK(sum(raw.first(20)) == 0);
    CHECK(sum(raw) == 0);
    std::array const addresses{gpa{0xe0040}, gpa{0x1000e0080}};
    auto const list = acpi::make_xsdt(addresses);
    CHECK(list.size() == 52);
    CHECK(number(list, 36, 8) == 0xe0040);
    CHECK(number(list, 44, 8) == 0x1000e0080);
}
