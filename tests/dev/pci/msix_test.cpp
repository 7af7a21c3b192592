// SPDX-License-Identifier: Apache-2.0
#include "ktstr/dev/pci/msix.hpp"

#include <doctest/doctest.h>

using namespace ktstr;

namespace {
using table_type = msix_table<counting_msi, 3>;
struct fixture {
    table_type table;
    void put(std::uint64_t at, std::uint32_t value) {
        le32 const raw{value};
        table.write(at, std::as_bytes(std::span(&raw, 1)));
    }
    std::uint32_t get(std::uint64_t at) {
        le32 raw;
        table.read(at, std::as_writable_bytes(std::span(&raw, 1)));
        return raw;
    }
    unsigned pending() {
        std::array<std::byte, 1> raw{};
        table.read_pending(0, raw);
        return std::to_integer<unsigned>(raw[0]);
    }
    void aim(std::uint64_t vector, std::uint32_t data) {
        put(vector * 16, 0xfee00000);
        put(vector * 16 + 4, 0);
        put(vector * 16 + 8, data);
        put(vector * 16 + 12, 0);
    }
    std::uint64_t sent() { return table.sink().count; }
};
} // namespace

TEST_CASE_FIXTURE(fixture, "msix_table: starts masked and off; its control tells the size") {
    CHECK(table.control() == 2);
    for (std::uint64_t v = 0; v < 3; ++v)
        CHECK(get(v * 16 + 12) == 1);
    table.fire(0);
    CHECK(sent() == 0);
    CHECK(pending() == 0); // without MSI-X an interrupt is lost, not kept
    table.set_control(0xffff);
    CHECK(table.control() == (0xc000 | 2));
}

TEST_CASE_FIXTURE(fixture, "msix_table: an unmasked vector sends what the guest programmed") {
    table.set_control(pci::msix_enable);
    aim(1, 0x4041);
    put(1 * 16 + 4, 0x100);
    table.fire(1);
    CHECK(sent() == 1);
    CHECK(table.sink().last == msi_message{0x100'fee00000, 0x4041});
    table.fire(3);
    table.fire(0xffff);
    CHECK(sent() == 1);
}

TEST_CASE_FIXTURE(fixture, "msix_table: behind either mask an interrupt waits, and comes once when it goes") {
    table.set_control(pci::msix_enable);
    table.fire(2); // masked since the reset
    table.fire(2);
    CHECK(sent() == 0);
    CHECK(pending() == 4);
    aim(2, 7);
    CHECK(sent() == 1);
    CHECK(pending() == 0);
    table.set_control(pci::msix_enable | pci::msix_function_mask);
    table.fire(2);
    CHECK(sent() == 1);
    CHECK(pending() == 4);
    table.set_control(pci::msix_enable);
    CHECK(sent() == 2);
    put(2 * 16 + 12, 0xffffffff);
    CHECK(get(2 * 16 + 12) == 1); // only the mask bit is kept
    table.fire(2);
    table.fire(0);
    CHECK(pending() == 5);
    CHECK(sent() == 2);
}

TEST_CASE_FIXTURE(fixture, "msix_table: 4 and 8 bytes, aligned, inside; anything else reads 0 and writes nothing") {
    std::array<std::byte, 8> const ones{std::byte{1}, std::byte{1}, std::byte{1}, std::byte{1},
                                        std::byte{1}, std::byte{1}, std::byte{1}, std::byte{1}};
    table.write(8, ones);
    CHECK(get(8) == 0x01010101);
    CHECK(get(12) == 1);
    table.write(4, ones); // not aligned to 8
    CHECK(get(4) == 0);
    for (std::size_t const length : {1u, 2u})
        table.write(0, std::span(ones).first(length));
    CHECK(get(0) == 0);
    table.write(48, ones);
    table.write(~std::uint64_t{7}, ones);
    CHECK(get(48) == 0);
    std::array<std::byte, 8> data;
    data.fill(std::byte{0x5a});
    table.read(0, std::span(data).first(2));
    CHECK(data[0] == std::byte{0});
    CHECK(data[2] == std::byte{0x5a});
    table.read(8, data);
    CHECK(data[0] == std::byte{1});
    CHECK(data[4] == std::byte{1});
    data.fill(std::byte{0x5a});
    table.read_pending(2, data);
    CHECK(data == std::array<std::byte, 8>{});
}
