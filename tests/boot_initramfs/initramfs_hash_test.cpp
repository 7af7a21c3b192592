// SPDX-License-Identifier: Apache-2.0
#include "ktstr/boot/initramfs_hash.hpp"

#include <algorithm>
#include <cstdint>
#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace ktstr;

TEST_CASE("content_hash: where the pieces are cut makes no difference") {
    std::vector<std::byte> data(301);
    for (std::size_t i = 0; i < data.size(); ++i)
        data[i] = static_cast<std::byte>(i * 37 + 11);
    auto const whole = hash_content(data);
    for (std::size_t cut = 0; cut <= data.size(); ++cut) {
        content_hasher h;
        h.update(std::span<std::byte const>(data).first(cut)).update(std::span<std::byte const>(data).subspan(cut));
        CHECK(h.finish() == whole);
    }
}

TEST_CASE("content_hash: each single bit of 100 bytes, each length and each order gives another hash") {
    std::vector<std::string> seen;
    std::vector<std::byte> data(100);
    seen.push_back(to_hex(hash_content(data)));
    for (std::size_t bit = 0; bit < 800; ++bit) {
        auto copy = data;
        copy[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
        seen.push_back(to_hex(hash_content(copy)));
    }
    for (std::size_t n = 0; n < 100; ++n)
        seen.push_back(to_hex(hash_content(std::span<std::byte const>(data).first(n))));
    std::ranges::sort(seen);
    CHECK(std::ranges::adjacent_find(seen) == seen.end());
    CHECK(seen.front().size() == 32);
    CHECK(content_hasher{}.update(std::string_view("ab")).update(std::string_view("c")).finish() !=
          content_hasher{}.update(std::string_view("a")).update(std::string_view("bc")).finish());
}

TEST_CASE("content_hash: the value of a known input stays what cache entries of today were named by") {
    CHECK(to_hex(content_hash{0x0123456789abcdefU, 0xfedcba9876543210U}) == "0123456789abcdeffedcba9876543210");
    CHECK(hash_content({}) == content_hasher{}.finish());
}
