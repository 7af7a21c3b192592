// SPDX-License-Identifier: Apache-2.0
#include "ktstr/boot/boot_params.hpp"

#include "ktstr/base/cursor.hpp"

#include <array>
#include <doctest/doctest.h>
#include <vector>

using namespace ktstr;
using namespace ktstr::x86_boot;

namespace {
struct line {
    std::uint64_t from, to;
    std::uint32_t type;
    bool operator==(line const&) const = default;
};
std::vector<line> map_of(x86_boot::boot_params const& page) {
    std::vector<line> out;
    for (std::size_t i = 0; i < page.e820_entries; ++i)
        out.push_back({page.e820_table[i].address, page.e820_table[i].address + page.e820_table[i].size,
                       page.e820_table[i].type});
    return out;
}
ram_region ram(std::uint64_t start, std::uint64_t end) { return {{gpa{start}, bytes{end - start}}, 0, {}}; }
std::array const two_gib{ram(0, 2 * GiB)};
} // namespace

TEST_CASE("boot_params: the memory map is RAM without what is reserved") {
    std::array const regions{ram(0, 1 * GiB), ram(1 * GiB, 3 * GiB), ram(4 * GiB, 5 * GiB)};
    std::array const reserved{reserved_range{{gpa{0x9fc00}, bytes{0x60400}}, e820_reserved},
                              reserved_range{{gpa{4 * GiB + 0x1000}, bytes{0x1000}}, e820_acpi},
                              reserved_range{{gpa{0xfee00000}, bytes{0x1000}}, e820_reserved}};
    auto const page = make_boot_params({.ram = regions, .reserved = reserved});
    REQUIRE(page);
    CHECK(map_of(*page) == std::vector<line>{{0, 0x9fc00, e820_ram},
                                             {0x9fc00, 0x100000, e820_reserved},
                                             {0x100000, 3 * GiB, e820_ram},
                                             {0xfee00000, 0xfee01000, e820_reserved},
                                             {4 * GiB, 4 * GiB + 0x1000, e820_ram},
                                             {4 * GiB + 0x1000, 4 * GiB + 0x2000, e820_acpi},
                                             {4 * GiB + 0x2000, 5 * GiB, e820_ram}});
}

TEST_CASE("boot_params: addresses above 4 GiB use both halves; literal offsets hold") {
    std::array const regions{ram(0, 3 * GiB), ram(4 * GiB, 16 * GiB)};
    auto const page = make_boot_params({.ram = regions,
                                        .cmdline = {gpa{0x2'0002'0000}, bytes{100}},
                                        .initramfs = {gpa{0x1'1000'0000}, bytes{0x1'2000'0000}},
                                        .rsdp = gpa{0xe0000},
                                        .kaslr = true});
    REQUIRE(page);
    auto const raw = bytes_of(*page);
    auto const word = [&](std::size_t at) {
        le32 out;
        std::memcpy(static_cast<void*>(&out), raw.data() + at, 4);
        return out.get();
    };
    CHECK(word(0x228) == 0x00020000);
    CHECK(word(0x0c8) == 2);
    CHECK(word(0x218) == 0x10000000);
    CHECK(word(0x0c0) == 1);
    CHECK(word(0x21c) == 0x20000000);
    CHECK(word(0x0c4) == 1);
    CHECK(word(0x070) == 0xe0000);
    CHECK(raw[0x210] == std::byte{0xff});
    CHECK(raw[0x211] == std::byte{0x03});
    CHECK(raw[0x1fe] == std::byte{0x55});
    CHECK(word(0x202) == header_magic);
    CHECK(raw[0x1ef] == std::byte{0});
}

TEST_CASE("boot_params: a kernel's own header is kept, the loader's fields are ours") {
    setup_header own = ktstr::detail::plain_setup_header();
    own.cmdline_size = 100U;
    own.init_size = 0x123000U;
    own.setup_data = std::uint64_t{0xdead};
    own.loadflags = static_cast<std::uint8_t>(own.loadflags | kaslr_flag | 0x80);
    auto const page = make_boot_params({.header = own, .ram = two_gib, .cmdline = {gpa{0x20000}, bytes{100}}});
    REQUIRE(page);
    CHECK(page->hdr.init_size == 0x123000);
    CHECK(page->hdr.setup_data == 0);
    CHECK(page->hdr.loadflags == (loaded_high | 0x80));
    auto const longer = make_boot_params({.header = own, .ram = two_gib, .cmdline = {gpa{0x20000}, bytes{101}}});
    CHECK(longer.error() == error{errc::no_space, 0, 100, "boot_params.cmdline"});
}

TEST_CASE("boot_params: an initramfs must lie in RAM, over adjacent regions if need be") {
    std::array const regions{ram(0, 64 * MiB), ram(64 * MiB, 128 * MiB)};
    auto const with = [&](std::uint64_t at, std::uint64_t size) {
        return make_boot_params({.ram = regions, .initramfs = {gpa{at}, bytes{size}}});
    };
    CHECK(with(60 * MiB, 8 * MiB));
    CHECK(with(120 * MiB, 8 * MiB));
    CHECK(with(120 * MiB, 8 * MiB + 1).error() == error{errc::out_of_range, 0, 128 * MiB, "boot_params.initramfs"});
    CHECK(with(128 * MiB, 1).error().code == errc::out_of_range);
    CHECK(with(120 * MiB, ~std::uint64_t{0}).error().code == errc::out_of_range);
}

TEST_CASE("boot_params: a memory map of more than 128 lines is refused") {
    std::vector<reserved_range> reserved;
    for (std::uint64_t i = 0; i < 64; ++i)
        reserved.push_back({{gpa{(2 * i + 1) * MiB}, bytes{4096}}, e820_reserved});
    CHECK(make_boot_params({.ram = two_gib, .reserved = reserved}).error() ==
          error{errc::no_space, 0, 128, "boot_params.e820"});
    reserved.pop_back();
    CHECK(make_boot_params({.ram = two_gib, .reserved = reserved})->e820_entries == 127);
}
