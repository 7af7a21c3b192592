// SPDX-License-Identifier: Apache-2.0
#include "ktstr/introspect/symbols/elf_symtab.hpp"

#include "suites/fake_kernel.hpp"
#include "suites/symbol_source_suite.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace ktstr;
using test::byte_vector;

namespace {

struct row {
    std::string name;
    std::uint64_t value;
    std::uint8_t info;
    std::uint16_t section;
};
constexpr std::uint8_t global = 1 << 4, weak = 2 << 4;
constexpr std::uint64_t text = 0xffff'ffff'8100'0000;

/// Sections: 1 .text, 2 .data, 3 .rodata, 4 .bss, 5 .symtab, 6 .strtab.
byte_vector with_symbols(std::vector<row> const& rows) {
    std::string names(1, '\0');
    byte_vector table(sizeof(elf::sym));
    for (auto const& each : rows) {
        elf::sym out;
        out.name = static_cast<std::uint32_t>(names.size());
        names += each.name + '\0';
        out.info = each.info;
        out.shndx = each.section;
        out.value = each.value;
        test::put_at(table, table.size(), out);
    }
    test::fake_elf kernel;
    kernel.sections = {{".text", byte_vector(8)}, {".data", byte_vector(8)}, {".rodata", byte_vector(8)},
                       {".bss", {}, elf::sht_nobits}, {".symtab", table, elf::sht_symtab}, {".strtab", test::bytes_from(names), 3}};
    auto file = kernel.build();
    auto const header = test::get_at<elf::ehdr>(file, 0);
    auto const change = [&](std::size_t i, auto edit) {
        auto const at = static_cast<std::size_t>(header.shoff) + i * sizeof(elf::shdr);
        auto section = test::get_at<elf::shdr>(file, at);
        edit(section);
        test::put_at(file, at, section);
    };
    change(1, [](elf::shdr& s) { s.flags = elf::shf_alloc | elf::shf_execinstr; });
    change(2, [](elf::shdr& s) { s.flags = elf::shf_alloc | elf::shf_write; });
    change(3, [](elf::shdr& s) { s.flags = elf::shf_alloc; });
    change(4, [](elf::shdr& s) { s.flags = elf::shf_alloc | elf::shf_write; });
    change(5, [](elf::shdr& s) {
        s.link = 6U;
        s.entsize = std::uint64_t{sizeof(elf::sym)};
    });
    return file;
}

/// The same file with a word of section header 5 (.symtab) replaced.
byte_vector with_row(byte_vector file, std::size_t offset, std::uint64_t value) {
    auto const header = test::get_at<elf::ehdr>(file, 0);
    test::put_at(file, static_cast<std::size_t>(header.shoff) + 5 * sizeof(elf::shdr) + offset, le64(value));
    return file;
}

std::vector<row> const sample{
    {"file.c", 0, 4, elf::shn_abs},                       // STT_FILE
    {"", text, 3, 1},                                     // STT_SECTION
    {"_text", text, global | elf::stt_notype, 1},
    {"helper", text + 0x20, elf::stt_func, 1},
    {"maybe", text + 0x30, weak | elf::stt_func, 1},
    {"maybe_data", text + 0x1000, weak | elf::stt_object, 2},
    {"jiffies", text + 0x1008, global | elf::stt_object, 2},
    {"table", text + 0x2000, elf::stt_object, 3},
    {"zeros", text + 0x3000, global | elf::stt_object, 4},
    {"cpu_info", 0x1000, global | elf::stt_object, 2},
    {"not_here", 0, global | elf::stt_notype, elf::shn_undef},
    {"common", 8, global | elf::stt_object, 0xfff2},
    {"number", 0x77, elf::stt_notype, elf::shn_abs},
};

} // namespace

TEST_CASE("read_elf_symtab: what nm shows, with its letters") {
    auto const table = read_elf_symtab(with_symbols(sample));
    REQUIRE(table);
    symbol_source_suite(*table);
    CHECK(table->size() == 9);
    auto const is = [&](char const* name, std::uint64_t address, char type, bool absolute) {
        CAPTURE(name);
        auto const got = table->find(name);
        REQUIRE(got);
        CHECK(got->address.raw == address);
        CHECK(got->type == type);
        CHECK(got->absolute == absolute);
    };
    is("_text", text, 'T', false);
    is("helper", text + 0x20, 't', false);
    is("maybe", text + 0x30, 'W', false);
    is("maybe_data", text + 0x1000, 'V', false);
    is("jiffies", text + 0x1008, 'D', false);
    is("table", text + 0x2000, 'r', false);
    is("zeros", text + 0x3000, 'B', false);
    is("cpu_info", 0x1000, 'D', true);
    is("number", 0x77, 'a', true);
    CHECK_FALSE(table->find("not_here"));
    CHECK_FALSE(table->find("common"));
    CHECK_FALSE(table->find("file.c"));
}

TEST_CASE("read_elf_symtab: stripped and broken files") {
    auto const error_of = [](byte_vector const& file) {
        auto const out = read_elf_symtab(file);
        REQUIRE_FALSE(out);
        return out.error();
    };
    CHECK(error_of(test::fake_elf{}.build()).code == errc::not_found);
    CHECK(error_of(test::fake_elf{}.build()).where == "elf.symtab");
    CHECK(error_of({}).code == errc::bad_format);
    CHECK(error_of(byte_vector(200)).where == "elf.magic");
    auto const good = with_symbols(sample);
    CHECK(error_of(with_row(good, 56, 23)).where == "elf.symtab.entsize");
    CHECK(error_of(with_row(good, 40, 99)).where == "elf.symtab.link");
    CHECK(error_of(with_row(good, 24, good.size())).where == "elf.symtab");
    CHECK(error_of(with_row(good, 32, ~std::uint64_t{0})).code == errc::truncated);
    // The names end before the last one starts.
    CHECK(error_of(with_row(good, 40, 1)).where == "elf.symtab.name");
    for (std::size_t n = 0; n < good.size(); ++n) {
        auto const cut = read_elf_symtab(std::span(good).first(n));
        REQUIRE_FALSE(cut);
    }
}
