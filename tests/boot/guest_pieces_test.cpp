// SPDX-License-Identifier: Apache-2.0
#include "ktstr/boot/guest_pieces.hpp"

#include "suites/split_memory.hpp"

#include <doctest/doctest.h>
#include <utility>
#include <vector>

using namespace ktstr;
using namespace ktstr::test;

namespace {
std::vector<std::pair<std::uint64_t, std::size_t>> walk(split_memory const& memory, gpa at, std::uint64_t n,
                                                        bool& complete) {
    std::vector<std::pair<std::uint64_t, std::size_t>> out;
    complete = for_each_piece(memory, at, n, [&](std::span<std::byte> piece, std::uint64_t done) -> result<> {
                   out.emplace_back(done, piece.size());
                   return {};
               }).has_value();
    return out;
}
} // namespace

TEST_CASE("guest_pieces: the fewest slices cover the range, in order") {
    using pieces = std::vector<std::pair<std::uint64_t, std::size_t>>;
    split_memory const memory(gpa{0x1000}, gpa{0x40000}, gpa{0x90000});
    bool complete = false;
    CHECK(walk(memory, gpa{0x1000}, 0x1000, complete) == pieces{{0, 0x1000}});
    CHECK(complete);
    CHECK(walk(memory, gpa{0x1003}, 0x80000, complete) == pieces{{0, 0x3effd}, {0x3effd, 0x41003}});
    CHECK(complete);
    CHECK(walk(memory, gpa{0x3ffff}, 2, complete) == pieces{{0, 1}, {1, 1}});
    CHECK(complete);
    CHECK(walk(memory, gpa{0x40000}, 0x50000, complete) == pieces{{0, 0x50000}});
    CHECK(complete);
    CHECK(walk(memory, gpa{0x2000}, 0, complete).empty());
    CHECK(complete);
    // Every length, so that the search for the border meets every case.
    for (std::uint64_t n = 1; n < 0x8f000; n += 0x7ff) {
        CAPTURE(n);
        auto const got = walk(memory, gpa{0x1000}, n, complete);
        CHECK(complete);
        CHECK(got.size() == (n <= 0x3f000 ? 1 : 2));
    }
}

TEST_CASE("guest_pieces: the end of RAM is an error with its address") {
    split_memory const memory(gpa{0x1000}, gpa{0x4000}, gpa{0x9000});
    std::vector<std::byte> const data(0x9000, std::byte{7});
    auto const got = write_pieces(memory, gpa{0x2000}, data);
    REQUIRE_FALSE(got);
    CHECK(got.error() == error{errc::out_of_range, 0, 0x9000, "guest_memory"});
    CHECK(write_pieces(memory, gpa{0}, data).error().value == 0);
    std::vector<std::byte> back(0x7000);
    REQUIRE(read_pieces(memory, gpa{0x2000}, back));
    CHECK(back == std::vector<std::byte>(0x7000, std::byte{7}));
}

TEST_CASE("guest_pieces: an error of the caller ends the walk") {
    split_memory const memory(gpa{0x1000}, gpa{0x4000}, gpa{0x9000});
    int calls = 0;
    auto const got = for_each_piece(memory, gpa{0x1000}, 0x8000, [&](std::span<std::byte>, std::uint64_t) -> result<> {
        ++calls;
        return fail(errc::os, "test");
    });
    CHECK(got.error().where == "test");
    CHECK(calls == 1);
}
