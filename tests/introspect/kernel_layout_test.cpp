// SPDX-License-Identifier: Apache-2.0
#include "ktstr/introspect/kernel_layout.hpp"

#include "ktstr/introspect/symbols/kaslr.hpp"
#include "ktstr/introspect/symbols/table.hpp"
#include "ktstr/introspect/virtual_memory.hpp"
#include "suites/fake_page_tables.hpp"

#include <array>
#include <cstring>
#include <doctest/doctest.h>

using namespace ktstr;
using test::fake_page_tables;

namespace {

constexpr std::uint64_t slide = 0x1e00000;
constexpr gva text{0xffffffff81000000 + slide};
constexpr gpa image{0x2600000};
constexpr gva direct{0xffff911640000000};

symbol_table linked(bool with_variable = true) {
    symbol_table_builder builder;
    builder.add("_text", gva{0xffffffff81000000}, 'T');
    if (with_variable)
        builder.add("page_offset_base", gva{0xffffffff81200ff8}, 'D');
    builder.add("_end", gva{0xffffffff81a01234}, 'B');
    return *std::move(builder).finish();
}

/// A kernel at `text`, whose page with page_offset_base is at 0x20000 of the small memory.
fake_page_tables guest_with(gva direct_map, gva variable_says, bool la57 = false) {
    fake_page_tables guest(la57);
    guest.map(text, image, 2 * MiB, 0);
    guest.map(text + 0x200000, gpa{0x20000}, 4096);
    auto const twin = direct_map + image.raw;
    guest.map(gva{align_down(twin.raw, 2 * MiB)}, gpa{align_down(image.raw, 2 * MiB)}, 2 * MiB);
    REQUIRE(store_guest(guest.memory(), gpa{0x20ff8}, le64(variable_says.raw)));
    return guest;
}

} // namespace

TEST_CASE("read_kernel_layout: image, size and direct map of a kernel that KASLR moved") {
    auto guest = guest_with(direct, direct);
    auto const out = read_kernel_layout(slid_symbols(linked(), slide), guest.memory(), guest.tables());
    REQUIRE(out);
    CHECK(*out == kernel_layout{text, image, bytes{0xa02000}, direct, guest.tables()});
}

TEST_CASE("read_kernel_layout: without the variable the defaults are tried, and proved") {
    for (bool const la57 : {false, true}) {
        auto const usual = gva{la57 ? 0xff11000000000000 : 0xffff888000000000};
        auto guest = guest_with(usual, gva{0}, la57);
        auto const out = read_kernel_layout(slid_symbols(linked(false), slide), guest.memory(), guest.tables());
        REQUIRE(out);
        CHECK(out->direct_map == usual);
        auto other = guest_with(direct, gva{0}, la57);
        CHECK(read_kernel_layout(slid_symbols(linked(false), slide), other.memory(), other.tables()).error().where ==
              "kernel_layout.direct_map");
    }
}

TEST_CASE("read_kernel_layout: tables of user code with page table isolation") {
    // Page 3 would be the user's top table, which knows nothing of the kernel; page 2 the kernel's.
    auto guest = guest_with(direct, direct);
    auto& ram = guest.ram();
    ram.resize(ram.size() + 0x4000);
    auto const kernel_root = ram.size() - 0x4000;
    REQUIRE(kernel_root % 0x2000 == 0);
    std::memcpy(ram.data() + kernel_root, ram.data() + 0x1000, 4096);
    auto const out = read_kernel_layout(slid_symbols(linked(), slide), guest.memory(), {gpa{kernel_root + 0x1000}, false});
    REQUIRE(out);
    CHECK(out->tables.root == gpa{kernel_root});
    CHECK(out->direct_map == direct);
}

TEST_CASE("read_kernel_layout: what contradicts itself is refused") {
    auto const where = [](auto const& symbols, fake_page_tables& guest) {
        auto const out = read_kernel_layout(symbols, guest.memory(), guest.tables());
        REQUIRE_FALSE(out);
        return std::string(out.error().where);
    };
    auto guest = guest_with(direct, direct);
    CHECK(where(null_symbols{}, guest) == "kernel_layout.symbols");
    CHECK(where(slid_symbols(linked(), slide + 0x8000000), guest) == "paging.not_present");
    auto lying = guest_with(direct, direct + 0x40000000);
    CHECK(where(slid_symbols(linked(), slide), lying) == "kernel_layout.direct_map");
    auto shifted = guest_with(direct, direct + 0x1000);
    CHECK(where(slid_symbols(linked(), slide), shifted) == "kernel_layout.direct_map");
    fake_page_tables odd;
    odd.map(text, gpa{0x5000}, 4096);
    CHECK(where(slid_symbols(linked(), slide), odd) == "kernel_layout.text");
    symbol_table_builder endless;
    endless.add("_end", gva{0xffffffff80000000}, 'B');
    endless.add("_text", gva{0xffffffff81000000}, 'T');
    CHECK(where(*std::move(endless).finish(), guest) == "kernel_layout.end");
}

TEST_CASE("read_virtual: across pages that are apart, up to a hole, no RAM") {
    fake_page_tables guest;
    guest.map(gva{0x10000}, gpa{0x21000});
    guest.map(gva{0x11000}, gpa{0x20000});
    guest.map(gva{0x13000}, gpa{0x40000000});
    for (std::size_t i = 0; i < 4096; ++i) {
        guest.ram()[0x21000 + i] = static_cast<std::byte>(i);
        guest.ram()[0x20000 + i] = static_cast<std::byte>(i ^ 0xff);
    }
    auto const memory = guest.memory();
    auto const tables = guest.tables();
    CHECK(load_virtual<std::uint64_t>(memory, tables, gva{0x10ffc}) == 0xfcfdfeff'fffefdfcU);
    std::array<std::byte, 8> out{};
    auto const hole = read_virtual(memory, tables, gva{0x11ffc}, out);
    REQUIRE_FALSE(hole);
    CHECK(hole.error().value == 0x12000);
    CHECK(out[3] == std::byte{0});
    CHECK(out[0] == std::byte{3});
    CHECK(load_virtual<std::uint32_t>(memory, tables, gva{0x13000}).error().code == errc::out_of_range);
    CHECK(read_virtual(memory, tables, gva{0x12000}, {}));
}
