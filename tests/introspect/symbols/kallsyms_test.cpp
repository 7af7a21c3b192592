// SPDX-License-Identifier: Apache-2.0
#include "ktstr/introspect/symbols/kallsyms.hpp"

#include "ktstr/introspect/symbols/kallsyms_locate.hpp"
#include "suites/fake_kallsyms.hpp"
#include "suites/symbol_source_suite.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace ktstr;
using test::fake_kallsyms;

namespace {

constexpr std::uint64_t text = 0xffff'ffff'8100'0000;

struct arrangement {
    char const* name;
    fake_kallsyms tables;
    std::size_t per_cpu;
};
std::vector<arrangement> arrangements() {
    using e = kallsyms_encoding;
    return {
        {"6.1", {.encoding = e::from_base_or_absolute, .offsets_first = true}, 40},
        {"6.1 with sequences", {.encoding = e::from_base_or_absolute, .offsets_first = true, .sequences = true}, 40},
        {"6.3 arm64", {.encoding = e::from_base, .offsets_first = true, .sequences = true, .base_missing = true}, 0},
        {"6.12", {.encoding = e::from_base_or_absolute}, 40},
        {"6.12 without per-CPU data", {.encoding = e::from_base_or_absolute}, 0},
        {"6.16", {.encoding = e::from_base}, 0},
        {"7.0", {.encoding = e::from_itself}, 0},
        {"7.1", {.encoding = e::from_itself, .alignment = 4}, 0},
    };
}

void check_equal(symbol_table const& table, std::vector<test::fake_symbol> const& wanted) {
    REQUIRE(table.size() == wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        auto const got = table.at(i);
        CAPTURE(i);
        REQUIRE(got.name == wanted[i].name);
        REQUIRE(got.address.raw == wanted[i].address);
        REQUIRE(got.type == wanted[i].type);
        REQUIRE(got.absolute == wanted[i].absolute);
    }
}

result<kallsyms_tables> locate(test::byte_vector const& region) {
    image_region const one{gva{text}, region};
    return locate_kallsyms(std::span(&one, 1), gva{text});
}

} // namespace

TEST_CASE("kallsyms: every arrangement, counts around multiples of 256") {
    for (auto const& each : arrangements())
        for (std::size_t const count : {257U, 511U, 512U, 513U, 1500U}) {
            CAPTURE(each.name);
            CAPTURE(count);
            // The image lies behind its tables here and in front of them below.
            auto const wanted = test::fake_symbols(count, text + 0x100'0000, each.per_cpu);
            auto const file = test::fake_vmlinux(each.tables.build(wanted));
            auto const tables = locate_kallsyms(std::span<std::byte const>(file));
            REQUIRE(tables);
            CHECK(tables->count == count);
            CHECK(tables->encoding == each.tables.encoding);
            auto const table = decode_kallsyms(std::span<std::byte const>(file));
            REQUIRE(table);
            check_equal(*table, wanted);
            symbol_source_suite(*table);
            for (auto const& one : wanted) {
                auto const direct = find_kallsyms(*tables, one.name);
                REQUIRE(direct);
                CHECK(direct->address.raw == one.address);
                CHECK(direct->absolute == one.absolute);
            }
            CHECK_FALSE(find_kallsyms(*tables, "not_there"));
        }
}

TEST_CASE("kallsyms: tables behind the code they name, at a page far from it") {
    for (auto each : arrangements()) {
        CAPTURE(each.name);
        each.tables.address = text + 0x160'0000;
        auto const wanted = test::fake_symbols(700, text, each.per_cpu);
        auto const region = each.tables.build(wanted);
        image_region const one{gva{each.tables.address}, region};
        auto const tables = locate_kallsyms(std::span(&one, 1), gva{text});
        REQUIRE(tables);
        check_equal(*decode_kallsyms(*tables), wanted);
    }
}

TEST_CASE("kallsyms: found through the section .rodata, and in any of the loaded pieces") {
    auto const wanted = test::fake_symbols(600, text + 0x100'0000);
    auto const region = fake_kallsyms{}.build(wanted);
    test::fake_elf elf;
    elf.code = region;
    elf.data_at = 0x1100000;
    elf.sections = {{".rodata", {}}};
    auto file = elf.build();
    // The section is made to cover the tables where they are loaded from.
    auto const header = test::get_at<elf::ehdr>(file, 0);
    auto const row = static_cast<std::size_t>(header.shoff) + sizeof(elf::shdr);
    auto section = test::get_at<elf::shdr>(file, row);
    section.offset = test::get_at<elf::phdr>(file, sizeof(elf::ehdr)).offset + 500U;
    section.size = std::uint64_t{region.size() - 500};
    test::put_at(file, row, section);
    auto const there = section_region(file, ".rodata");
    REQUIRE(there);
    CHECK(there->address == gva{text + 500});
    check_equal(*decode_kallsyms(std::span<std::byte const>(file)), wanted);
    // A section without them is not the end of the search.
    section.size = std::uint64_t{300};
    test::put_at(file, row, section);
    check_equal(*decode_kallsyms(std::span<std::byte const>(file)), wanted);
    CHECK(loaded_regions(file)->size() == 2);
}

TEST_CASE("kallsyms: what is missing is named") {
    auto const wanted = test::fake_symbols(600, text + 0x100'0000);
    auto const good = fake_kallsyms{}.build(wanted);
    auto const tables = locate(good);
    REQUIRE(tables);
    auto const offset_of = [&](std::span<std::byte const> part) { return static_cast<std::size_t>(part.data() - good.data()); };
    auto const broken = [&](std::size_t at, std::uint8_t value) {
        auto bad = good;
        bad[at] = std::byte{value};
        auto const out = locate(bad);
        REQUIRE_FALSE(out);
        CHECK(out.error().code == errc::not_found);
        return std::string(out.error().where);
    };
    CHECK(broken(offset_of(tables->token_index) + 100, 0xff) == "kallsyms.token_index");
    CHECK(broken(offset_of(tables->token_table) + 4, 'x') == "kallsyms.token_index");
    CHECK(broken(offset_of(tables->markers), 1) == "kallsyms.markers");
    CHECK(broken(offset_of(tables->markers) + 4, 0xf1) == "kallsyms.names");
    CHECK(broken(offset_of(tables->names), 0) == "kallsyms.names");
    CHECK(broken(offset_of(tables->names) - 8, 0xff) == "kallsyms.names");
    CHECK(broken(offset_of(tables->offsets) + 7, 0x7f) == "kallsyms.offsets");
    CHECK(locate({}).error().where == "kallsyms.token_index");
    CHECK(locate(test::byte_vector(100000)).error().where == "kallsyms.token_index");
    CHECK(decode_kallsyms(std::span<std::byte const>(good)).error().where == "elf.magic");
}

TEST_CASE("kallsyms: every truncation of an image is an error or the same symbols") {
    auto const wanted = test::fake_symbols(300, text + 0x100'0000);
    auto const good = fake_kallsyms{.encoding = kallsyms_encoding::from_itself, .alignment = 4}.build(wanted);
    auto const end = static_cast<std::size_t>(locate(good)->offsets.data() - good.data()) + 4 * 300;
    for (std::size_t n = 0; n <= good.size(); n += n + 20 < end ? 13U : 1U) {
        auto const cut = locate(test::byte_vector(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(n)));
        REQUIRE(cut.has_value() == (n >= end));
    }
}

TEST_CASE("kallsyms: an image made to cost time ends within its budget") {
    // A token table, and in front of it nothing but beginnings of marker tables and counts that fit them.
    auto const good = fake_kallsyms{}.build(test::fake_symbols(600, text + 0x100'0000));
    auto const tables = locate(good);
    auto const tokens = static_cast<std::size_t>(tables->token_table.data() - good.data());
    test::byte_vector bad;
    while (bad.size() < 1'000'000)
        for (std::uint32_t const word : {0U, 600U, 1200U, 1800U, 700U})
            test::put_at(bad, bad.size(), le32(word));
    bad.insert(bad.end(), good.begin() + static_cast<std::ptrdiff_t>(tokens), good.end());
    auto const out = locate(bad);
    REQUIRE_FALSE(out);
    CHECK(out.error().where == "kallsyms.budget");
}

TEST_CASE("kallsyms: names that change after they were found are an error, not a crash") {
    auto region = fake_kallsyms{}.build(test::fake_symbols(600, text + 0x100'0000));
    auto const tables = locate(region);
    REQUIRE(tables);
    auto const names = static_cast<std::size_t>(tables->names.data() - region.data());
    for (std::size_t i = 0; i < tables->names.size(); ++i)
        region[names + i] = std::byte{0xff};
    auto const out = decode_kallsyms(*tables);
    REQUIRE_FALSE(out);
    CHECK(out.error().where == "kallsyms.names");
    CHECK_FALSE(find_kallsyms(*tables, "vfs_1"));
}

TEST_CASE("kallsyms: encodings have names") {
    CHECK(name_of(kallsyms_encoding::from_base) != name_of(kallsyms_encoding::from_itself));
    CHECK(name_of(static_cast<kallsyms_encoding>(9)) == "unknown");
}
