// SPDX-License-Identifier: Apache-2.0
/// \file
/// Conformance suite of the `ChunkCodec` policy. `packs` says whether the model makes zeros smaller.
#pragma once

#include "ktstr/snapshot/chunk_codec.hpp"

#include <cstddef>
#include <doctest/doctest.h>
#include <span>
#include <vector>

template <ktstr::ChunkCodec C>
void chunk_codec_suite(C& codec, bool packs) {
    using namespace ktstr;
    static_assert(explain_chunk_codec<C>());
    for (std::size_t const size : {std::size_t{4096}, std::size_t{65536}, std::size_t{262144}}) {
        std::vector<std::byte> in(size);
        for (std::size_t i = 0; i < size; ++i)
            in[i] = static_cast<std::byte>(i / 512);
        std::vector<std::byte> out(size - 1);
        auto const n = codec.pack(in, out);
        REQUIRE(n);
        CHECK((*n != 0) == packs);
        if (*n != 0) {
            std::vector<std::byte> back(size);
            CHECK(codec.unpack(std::span(out).first(*n), back));
            CHECK(back == in);
            CHECK_FALSE(codec.unpack(std::span(out).first(*n), std::span(back).first(size - 1)));
            CHECK_FALSE(codec.unpack(std::span(out).first(*n - 1), back));
            back.push_back({});
            CHECK_FALSE(codec.unpack(std::span(out).first(*n), back));
        }
        // What cannot be made smaller is left alone.
        std::uint64_t random = size;
        for (auto& b : in) {
            random = random * 6364136223846793005U + 1442695040888963407U;
            b = static_cast<std::byte>(random >> 56);
        }
        CHECK(*codec.pack(in, out) == 0);
        CHECK_FALSE(codec.unpack(in, out));
    }
}
