// SPDX-License-Identifier: Apache-2.0
/// \file
/// Conformance suite of the `Compressor` policy. `unpack` undoes one model for the test: bytes in, archive out.
#pragma once

#include "ktstr/boot/initramfs_compress.hpp"

#include <cstddef>
#include <doctest/doctest.h>
#include <span>
#include <vector>

namespace ktstr::test {

template <Compressor C, class Unpack>
void compressor_suite(C const& compressor, Unpack unpack) {
    static_assert(explain_compressor<C>());
    CHECK_FALSE(compressor.name().empty());
    for (char const c : compressor.name())
        CHECK((c != '/' && c != '.'));
    // 20 MiB crosses every block size in use; the pattern is neither constant nor random.
    std::vector<std::byte> archive(20 * 1024 * 1024 + 12);
    for (std::size_t i = 0; i < archive.size(); ++i)
        archive[i] = static_cast<std::byte>((i * 2654435761U) >> (i % 4096 < 2048 ? 24 : 13));
    for (std::size_t const size : {archive.size(), std::size_t{8} * 1024 * 1024, std::size_t{512}, std::size_t{4}}) {
        auto const piece = std::span<std::byte const>(archive).first(size);
        auto const packed = compressor.compress(piece);
        REQUIRE(packed);
        CHECK(*packed == *compressor.compress(piece));
        auto const back = unpack(std::span<std::byte const>(*packed));
        CHECK(back == std::vector<std::byte>(piece.begin(), piece.end()));
    }
}

} // namespace ktstr::test
