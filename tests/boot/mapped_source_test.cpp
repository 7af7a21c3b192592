// SPDX-License-Identifier: Apache-2.0
#include "ktstr/boot/mapped_source.hpp"

#include "ktstr/sys/mapping.hpp"

#include <array>
#include <cstring>
#include <doctest/doctest.h>
#include <vector>

using namespace ktstr;

namespace {
/// Three and a half pages whose byte n is a function of n.
constexpr std::size_t length = 4096 * 3 + 2048;
std::byte expected(std::size_t n) { return static_cast<std::byte>(n * 7 + n / 4096); }

unique_fd make_file() {
    auto fd = unique_fd::memfd("mapped-source");
    REQUIRE(fd);
    std::vector<std::byte> content(length);
    for (std::size_t i = 0; i < length; ++i)
        content[i] = expected(i);
    REQUIRE(write_all(fd->get(), content));
    return std::move(*fd);
}
} // namespace

TEST_CASE("mapped_source: whole pages are mapped, the rest is copied, and what lies beyond is untouched") {
    auto const fd = make_file();
    auto ram = mapping::map(4096 * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    REQUIRE(ram);
    mapped_source const source{fd.get(), length};
    REQUIRE(source.read(ram->span().first(length), 0));
    for (std::size_t i = 0; i < length; ++i)
        REQUIRE(ram->span()[i] == expected(i));
    for (std::size_t i = length; i < ram->size(); ++i)
        REQUIRE(ram->span()[i] == std::byte{0});
    // A write stays ours: the file keeps its content.
    ram->span()[5] = std::byte{0xee};
    std::array<std::byte, 1> back{};
    REQUIRE(pread_all(fd.get(), back, 5));
    CHECK(back[0] == expected(5));
    // And the pages really are the file's: a change of the file shows in a page nobody wrote to.
    std::byte const changed{0x55};
    REQUIRE(::pwrite(fd.get(), &changed, 1, 4096 + 9) == 1);
    CHECK(ram->span()[4096 + 9] == changed);
}

TEST_CASE("mapped_source: what does not line up is copied; what is not there is truncated") {
    auto const fd = make_file();
    auto ram = mapping::map(4096 * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    REQUIRE(ram);
    mapped_source const source{fd.get(), length};
    REQUIRE(source.read(ram->span().subspan(16, 5000), 100));
    for (std::size_t i = 0; i < 5000; ++i)
        REQUIRE(ram->span()[16 + i] == expected(100 + i));
    auto const r = source.read(ram->span().first(length), 1);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == errc::truncated);
}
