// SPDX-License-Identifier: Apache-2.0
#include "ktstr/boot/kaslr.hpp"

#include <array>
#include <doctest/doctest.h>
#include <set>
#include <vector>

using namespace ktstr;

namespace {
vmlinux_image image_of(std::uint64_t size) {
    vmlinux_image out;
    out.extent = {gpa{16 * MiB}, bytes{size}};
    out.entry = gpa{16 * MiB};
    return out;
}
ram_region ram(std::uint64_t start, std::uint64_t end) { return {{gpa{start}, bytes{end - start}}, 0, {}}; }
} // namespace

TEST_CASE("kaslr: all places are drawn, and only good ones") {
    std::array const regions{ram(0, 64 * MiB), ram(64 * MiB, 128 * MiB)}; // two nodes, one piece of RAM
    std::array const reserved{gpa_range{gpa{100 * MiB}, bytes{5 * MiB}}, gpa_range{gpa{0}, bytes{1 * MiB}}};
    kaslr_limits const limits{.ram = regions, .reserved = reserved};
    auto const image = image_of(40 * MiB);
    std::set<std::uint64_t> seen;
    for (std::uint64_t draw = 0; draw < 100; ++draw) {
        auto const got = choose_kaslr(image, limits, draw, 0);
        REQUIRE(got);
        CHECK(got->phys_base.raw % (2 * MiB) == 0);
        CHECK(got->phys_base.raw >= 16 * MiB);
        CHECK(got->phys_base.raw + 40 * MiB <= 100 * MiB);
        seen.insert(got->phys_base.raw);
    }
    CHECK(seen.size() == (60 - 16) / 2 + 1); // 16, 18, ..., 60 MiB: across the border of the nodes too
}

TEST_CASE("kaslr: places on both sides of a gap and of a reserved range, none above the limit") {
    std::array const regions{ram(0, 60 * MiB), ram(80 * MiB, 100 * MiB), ram(4 * GiB, 5 * GiB)};
    std::array const reserved{gpa_range{gpa{30 * MiB}, bytes{1}}};
    kaslr_limits const limits{.ram = regions, .reserved = reserved};
    std::set<std::uint64_t> seen;
    for (std::uint64_t draw = 0; draw < 64; ++draw)
        seen.insert(choose_kaslr(image_of(12 * MiB), limits, draw, 0)->phys_base.raw / MiB);
    CHECK(seen == std::set<std::uint64_t>{16, 18, 32, 34, 36, 38, 40, 42, 44, 46, 48, 80, 82, 84, 86, 88});
}

TEST_CASE("kaslr: the first place behind a reserved range counts") {
    std::array const regions{ram(0, 40 * MiB)};
    std::array const reserved{gpa_range{gpa{21 * MiB}, bytes{1}}};
    kaslr_limits const limits{.ram = regions, .reserved = reserved};
    CHECK(choose_kaslr(image_of(12 * MiB), limits, 0, 0)->phys_base == gpa{22 * MiB});
}

TEST_CASE("kaslr: the virtual place stays inside the kernel's mapping") {
    std::array const regions{ram(0, 64 * MiB)};
    kaslr_limits const limits{.ram = regions};
    auto const image = image_of(40 * MiB);
    constexpr auto slots = (1 * GiB - 16 * MiB - 40 * MiB) / (2 * MiB) + 1;
    CHECK(choose_kaslr(image, limits, 0, slots - 1)->virt_offset == (slots - 1) * 2 * MiB);
    CHECK(choose_kaslr(image, limits, 0, slots)->virt_offset == 0);
    CHECK(16 * MiB + (slots - 1) * 2 * MiB + 40 * MiB <= 1 * GiB);
    // The same words give the same place.
    CHECK(choose_kaslr(image, limits, 123456789, 987654321) == choose_kaslr(image, limits, 123456789, 987654321));
}

TEST_CASE("kaslr: no room and nonsense are errors") {
    std::array const regions{ram(0, 32 * MiB)};
    kaslr_limits limits{.ram = regions};
    CHECK(choose_kaslr(image_of(17 * MiB), limits, 1, 1).error() == error{errc::no_space, 0, 17 * MiB, "kaslr.phys"});
    CHECK(choose_kaslr(image_of(16 * MiB), limits, 1, 1)->phys_base == gpa{16 * MiB});
    limits.virtual_space = bytes{24 * MiB};
    CHECK(choose_kaslr(image_of(16 * MiB), limits, 1, 1).error().where == "kaslr.virt");
    for (auto const align : {std::uint64_t{0}, 1 * MiB, 3 * MiB, 32 * MiB}) {
        kaslr_limits odd{.ram = regions, .alignment = bytes{align}};
        CHECK(choose_kaslr(image_of(16 * MiB), odd, 1, 1).error().code == errc::invalid_argument);
    }
    CHECK_FALSE(choose_kaslr(image_of(16 * MiB), {}, 1, 1));
}
