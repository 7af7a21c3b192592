// SPDX-License-Identifier: Apache-2.0
/// \file
/// The `ChunkCodec` policy: how the pages of a snapshot file are packed.
///
/// Contract: one thread at a time, in a forked child too (no threads of its own). `pack(in, out)` packs all of `in` into
/// `out`, which is smaller than `in`, and gives the bytes used; 0 when it does not fit, which is no failure. `unpack(in,
/// out)` fills all of `out` with exactly what was packed; hostile input gives `errc::bad_format`. `id` is written into
/// the file: 0 is "not packed", 1 zstd. Models: `plain_chunks`, `zstd_chunks` (compress_zstd.hpp).
/// Suite: tests/suites/chunk_codec_suite.hpp.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ktstr {

namespace detail {
template <class C>
concept chunk_codec_id = requires {
    { C::id } -> std::convertible_to<std::uint16_t>;
};
template <class C>
concept chunk_codec_calls = requires(C& c, std::span<std::byte const> in, std::span<std::byte> out) {
    { c.pack(in, out) } -> std::same_as<result<std::size_t>>;
    { c.unpack(in, out) } -> std::same_as<result<>>;
};
} // namespace detail

/// Packs and unpacks chunks; see the contract at the top of this file.
template <class C>
concept ChunkCodec = detail::chunk_codec_id<C> && detail::chunk_codec_calls<C>;

/// Fails to compile with one sentence per requirement that `C` misses.
template <class C>
consteval bool explain_chunk_codec() {
    static_assert(detail::chunk_codec_id<C>, "ChunkCodec: missing `static constexpr uint16_t id`");
    static_assert(detail::chunk_codec_calls<C>,
                  "ChunkCodec: missing `result<size_t> pack(span<byte const>, span<byte>)` or `result<> unpack(...)`");
    return ChunkCodec<C>;
}

/// Packs nothing.
struct plain_chunks {
    static constexpr std::uint16_t id = 0;
    [[nodiscard]] result<std::size_t> pack(std::span<std::byte const>, std::span<std::byte>) const noexcept { return std::size_t{0}; }
    [[nodiscard]] result<> unpack(std::span<std::byte const>, std::span<std::byte>) const noexcept {
        return fail(errc::unsupported, "snapshot.codec");
    }
};
static_assert(ChunkCodec<plain_chunks>);

} // namespace ktstr
