// SPDX-License-Identifier: Apache-2.0
/// \file
/// Conformance suite of the `Decompressor` policy. `pack` makes a stream that the model must be able to unpack.
#pragma once

#include "ktstr/boot/decompress.hpp"

#include <cstddef>
#include <doctest/doctest.h>
#include <span>
#include <vector>

namespace ktstr::test {

template <Decompressor D, class Pack>
void decompressor_suite(D const& decompressor, compression method, Pack pack) {
    static_assert(explain_decompressor<D>());
    CHECK(decompressor.knows(method));
    CHECK_FALSE(decompressor.knows(compression::none));
    std::vector<std::byte> content(9 * 1024 * 1024 + 77);
    for (std::size_t i = 0; i < content.size(); ++i)
        content[i] = static_cast<std::byte>((i * 2654435761U) >> (i % 4096 < 3072 ? 24 : 13));
    for (std::size_t const size : {content.size(), std::size_t{65536}, std::size_t{65537}, std::size_t{1}}) {
        CAPTURE(size);
        auto const want = std::vector<std::byte>(content.begin(), content.begin() + static_cast<std::ptrdiff_t>(size));
        std::vector<std::byte> const packed = pack(want);
        REQUIRE(detect_compression(packed) == method);
        // Whatever the hint says, and with the limit exactly met.
        for (std::uint64_t const hint : {std::uint64_t{0}, std::uint64_t{size}, ~std::uint64_t{0}}) {
            auto const got = decompressor.unpack(packed, hint, size);
            REQUIRE(got);
            CHECK(*got == want);
        }
        // Kernel builds append the size; it is not part of the stream.
        auto appended = packed;
        for (unsigned i = 0; i < 4; ++i)
            appended.push_back(static_cast<std::byte>(size >> (8 * i)));
        auto const with_size = decompressor.unpack(appended, 0, size);
        REQUIRE(with_size);
        CHECK(*with_size == want);
        if (size > 1) {
            auto const limited = decompressor.unpack(packed, size, size - 1);
            REQUIRE_FALSE(limited);
            CHECK(limited.error().code == errc::no_space);
        }
    }
    auto const small = std::vector<std::byte>(content.begin(), content.begin() + 500);
    std::vector<std::byte> const packed = pack(small);
    for (std::size_t cut = 0; cut < packed.size(); ++cut) {
        CAPTURE(cut);
        auto const got = decompressor.unpack(std::span(packed).first(cut), 0, 1 << 20);
        // A format without an end mark may take a cut at a block border for the end.
        if (got)
            CHECK((method == compression::lz4_legacy && got->size() < small.size()));
        else
            CHECK((got.error().code == errc::truncated || got.error().code == errc::unsupported));
    }
    CHECK(decompressor.unpack({}, 0, 100).error().code == errc::unsupported);
}

} // namespace ktstr::test
