// SPDX-License-Identifier: Apache-2.0
/// \file
/// The `Decompressor` policy: who unpacks a kernel's payload, a module or a config.
///
/// Contract: `unpack(in, size_hint, limit)` returns all bytes that the stream at the start of `in` holds. Bytes behind
/// the stream are ignored (kernel builds append the unpacked size). `size_hint` is only for reserving memory; more than
/// `limit` bytes is `errc::no_space`, a damaged stream `errc::bad_format`, one that ends early `errc::truncated`, a
/// method it does not know `errc::unsupported`. `knows(method)` says in advance. May allocate, keeps no state, callable
/// from any thread. Models: `no_decompressor`, `zlib_decompressor`, `lzma_decompressor`, `zstd_decompressor`,
/// `lz4_decompressor` (one header each), `decompressor_set` over several. Suite: tests/suites/decompressor_suite.hpp.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace ktstr {

/// How a stream is compressed, as its first bytes tell.
enum class compression : std::uint8_t { none, gzip, xz, lzma, zstd, lz4_legacy, bzip2, lzo };

/// What the first bytes of `data` announce; `none` when nothing is recognised.
[[nodiscard]] inline compression detect_compression(std::span<std::byte const> data) noexcept {
    auto const starts = [&](std::string_view magic) {
        return data.size() >= magic.size() && std::memcmp(data.data(), magic.data(), magic.size()) == 0;
    };
    using namespace std::string_view_literals;
    if (starts("\x1f\x8b"sv))
        return compression::gzip;
    if (starts("\xfd"
               "7zXZ\0"sv))
        return compression::xz;
    if (starts("\x28\xb5\x2f\xfd"sv))
        return compression::zstd;
    if (starts("\x02\x21\x4c\x18"sv))
        return compression::lz4_legacy;
    if (starts("BZh"sv))
        return compression::bzip2;
    if (starts("\x89LZO\0\r\n"sv))
        return compression::lzo;
    if (starts("\x5d\0\0"sv))
        return compression::lzma;
    return compression::none;
}

/// The usual name of `method`.
[[nodiscard]] constexpr std::string_view name_of(compression method) noexcept {
    switch (method) {
    case compression::none: return "none";
    case compression::gzip: return "gzip";
    case compression::xz: return "xz";
    case compression::lzma: return "lzma";
    case compression::zstd: return "zstd";
    case compression::lz4_legacy: return "lz4";
    case compression::bzip2: return "bzip2";
    case compression::lzo: return "lzo";
    }
    return "unknown";
}

namespace detail {
/// The first output buffer: the hint when it is believable, one byte beyond the limit at most.
[[nodiscard]] constexpr std::size_t first_buffer(std::uint64_t hint, std::uint64_t limit) noexcept {
    constexpr std::uint64_t least = 64 * 1024;
    constexpr std::uint64_t most = 256U << 20; // a larger claim must earn its memory by real output
    auto const wanted = hint < least ? least : hint < most ? hint + 1 : most;
    return static_cast<std::size_t>(wanted <= limit ? wanted : limit + 1);
}
/// The buffer to go on with: twice the size, one byte beyond the limit at most.
[[nodiscard]] constexpr std::size_t next_buffer(std::uint64_t size, std::uint64_t limit) noexcept {
    return static_cast<std::size_t>(size <= limit / 2 ? size * 2 : limit + 1);
}

template <class D>
concept decompressor_knows = requires(D const& d, compression c) {
    { d.knows(c) } noexcept -> std::same_as<bool>;
};
template <class D>
concept decompressor_unpack = requires(D const& d, std::span<std::byte const> in, std::uint64_t n) {
    { d.unpack(in, n, n) } -> std::same_as<result<std::vector<std::byte>>>;
};
} // namespace detail

/// Unpacks compressed streams; see the contract at the top of this file.
template <class D>
concept Decompressor = detail::decompressor_knows<D> && detail::decompressor_unpack<D>;

/// Fails to compile with one sentence per requirement that `D` misses.
template <class D>
consteval bool explain_decompressor() {
    static_assert(detail::decompressor_knows<D>, "Decompressor: missing `bool knows(compression) const noexcept`");
    static_assert(detail::decompressor_unpack<D>,
                  "Decompressor: missing `result<vector<byte>> unpack(span<byte const>, uint64_t hint, uint64_t limit) const`");
    return Decompressor<D>;
}

/// Knows nothing: for harnesses that only load a plain vmlinux.
struct no_decompressor {
    [[nodiscard]] bool knows(compression) const noexcept { return false; }
    [[nodiscard]] result<std::vector<std::byte>> unpack(std::span<std::byte const> in, std::uint64_t,
                                                        std::uint64_t) const {
        return fail(errc::unsupported, "decompress.method", static_cast<std::uint64_t>(detect_compression(in)));
    }
};
static_assert(Decompressor<no_decompressor>);

/// Several decompressors as one; the first that knows the stream's method unpacks it.
template <Decompressor... Ds>
struct decompressor_set {
    [[nodiscard]] bool knows(compression method) const noexcept { return (Ds{}.knows(method) || ...); }
    [[nodiscard]] result<std::vector<std::byte>> unpack(std::span<std::byte const> in, std::uint64_t hint,
                                                        std::uint64_t limit) const {
        auto const method = detect_compression(in);
        result<std::vector<std::byte>> out = no_decompressor{}.unpack(in, hint, limit);
        [[maybe_unused]] auto const attempt = [&](auto const& one) {
            if (!one.knows(method))
                return false;
            out = one.unpack(in, hint, limit);
            return true;
        };
        static_cast<void>((attempt(Ds{}) || ...));
        return out;
    }
};
static_assert(Decompressor<decompressor_set<>>);

} // namespace ktstr
