// SPDX-License-Identifier: Apache-2.0
#include "ktstr/boot/relocs.hpp"
#include "ktstr/boot/guest_pieces.hpp"

#include "suites/fake_kernel.hpp"
#include "suites/split_memory.hpp"

#include <array>
#include <doctest/doctest.h>

using namespace ktstr;
using namespace ktstr::test;

namespace {

std::vector<std::uint32_t> places(std::span<std::byte const> list) {
    std::vector<std::uint32_t> out;
    for (std::size_t at = 0; at < list.size(); at += 4)
        out.push_back(get_at<le32>(list, at));
    return out;
}

} // namespace

TEST_CASE("relocs: two lists as newer kernels have them, three as older ones") {
    auto const two_raw = words({0, 0x81000010, 0x81000020, 0, 0x81000030});
    auto const two = parse_relocs(two_raw);
    REQUIRE(two);
    CHECK(places(two->absolute64) == std::vector<std::uint32_t>{0x81000010, 0x81000020});
    CHECK(two->inverse32.empty());
    CHECK(places(two->absolute32) == std::vector<std::uint32_t>{0x81000030});
    CHECK(two->count() == 3);

    auto const three_raw = words({0, 0x81000010, 0, 0x81000014, 0x81000018, 0, 0x81000030});
    auto const three = parse_relocs(three_raw);
    REQUIRE(three);
    CHECK(places(three->absolute64) == std::vector<std::uint32_t>{0x81000010});
    CHECK(places(three->inverse32) == std::vector<std::uint32_t>{0x81000014, 0x81000018});
    CHECK(places(three->absolute32) == std::vector<std::uint32_t>{0x81000030});

    auto const none = parse_relocs({});
    REQUIRE(none);
    CHECK(none->empty());
    auto const empty_raw = words({0, 0});
    auto const empty_lists = parse_relocs(empty_raw);
    REQUIRE(empty_lists);
    CHECK(empty_lists->count() == 0);
}

TEST_CASE("relocs: words that cannot be tables are refused") {
    auto const refused = [](std::vector<std::uint32_t> const& list) { return parse_relocs(words(list)).error(); };
    CHECK(refused({0}) == error{errc::bad_format, 0, 1, "relocs.lists"});
    CHECK(refused({0x81000010, 0, 0}) == error{errc::bad_format, 0, 0, "relocs.place"});
    CHECK(refused({0, 0, 0, 0}) == error{errc::bad_format, 0, 12, "relocs.lists"});
    CHECK(refused({0, 0x1000, 0, 0x81000000}) == error{errc::bad_format, 0, 4, "relocs.place"});
    auto const odd = joined(words({0, 0}), bytes_from("x"));
    CHECK(parse_relocs(odd).error() == error{errc::bad_format, 0, 9, "relocs.size"});
}

TEST_CASE("relocs: each list moves its fields in its own way, wherever RAM is split") {
    constexpr gpa_range extent{gpa{0x1000000}, bytes{0x2000}};
    constexpr gpa start{0x5000};
    constexpr std::uint64_t delta = 0x1e00000;
    auto const raw = words({0, 0x81000010, 0x81000ffc, 0, 0x81000020, 0, 0x81000030, 0x81000fff - 0x100});
    auto const tables = parse_relocs(raw);
    REQUIRE(tables);
    // One region, and a border between two in the middle of the second 64-bit field.
    for (auto const border : {std::uint64_t{0x7000}, std::uint64_t{0x6000}}) {
        CAPTURE(border);
        split_memory memory(gpa{0x5000}, gpa{border}, gpa{0x7000});
        REQUIRE(write_pieces(memory, start + 0x10, bytes_of(le64(0xffffffff81000123))));
        REQUIRE(write_pieces(memory, start + 0xffc, bytes_of(le64(0xffffffff81234567))));
        REQUIRE(write_pieces(memory, start + 0x20, bytes_of(le32(0x7f000000U))));
        REQUIRE(write_pieces(memory, start + 0x30, bytes_of(le32(0x81000456U))));
        REQUIRE(apply_relocs(memory, extent, start, *tables, delta));
        std::array<std::byte, 8> got{};
        REQUIRE(read_pieces(memory, start + 0x10, got));
        CHECK(get_at<le64>(got, 0) == 0xffffffff82e00123);
        REQUIRE(read_pieces(memory, start + 0xffc, got));
        CHECK(get_at<le64>(got, 0) == 0xffffffff83034567);
        REQUIRE(read_pieces(memory, start + 0x20, got));
        CHECK(get_at<le32>(got, 0) == 0x7f000000U - delta);
        REQUIRE(read_pieces(memory, start + 0x30, got));
        CHECK(get_at<le32>(got, 0) == 0x82e00456U);
        // And back again.
        REQUIRE(apply_relocs(memory, extent, start, *tables, 0 - delta));
        REQUIRE(read_pieces(memory, start + 0xffc, got));
        CHECK(get_at<le64>(got, 0) == 0xffffffff81234567);
    }
}

TEST_CASE("relocs: a place outside the kernel is refused") {
    split_memory memory(gpa{0}, gpa{0x2000}, gpa{0x2000});
    constexpr gpa_range extent{gpa{0x1000000}, bytes{0x2000}};
    for (std::uint32_t const place : {0x80ffffffU, 0x81001ffdU, 0x81002000U, 0xffffffffU, 0x80000000U}) {
        CAPTURE(place);
        auto const raw = words({0, 0, place});
        auto const got = apply_relocs(memory, extent, gpa{0}, *parse_relocs(raw), 0x200000);
        REQUIRE_FALSE(got);
        CHECK(got.error().where == "relocs.place");
    }
    auto const last = words({0, 0, 0x81001ffc});
    CHECK(apply_relocs(memory, extent, gpa{0}, *parse_relocs(last), 0x200000));
}
