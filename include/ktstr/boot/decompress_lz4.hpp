// SPDX-License-Identifier: Apache-2.0
/// \file
/// `Decompressor` model for the lz4 "legacy frame" over liblz4.
#pragma once

#include "ktstr/base/endian.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/boot/decompress.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <lz4.h>
#include <span>
#include <vector>

namespace ktstr {

/// Unpacks an lz4 legacy frame: a magic, then blocks of at most 8 MiB unpacked, each behind its packed size.
///
/// The format has no end mark, so the frame ends with the input, with a size of 0, or with a block size that cannot be
/// one and stands in the last four bytes: there kernel builds put the unpacked size (linux scripts/Makefile.lib,
/// size_append). When that word equals what was unpacked it is the end even if it could be a block size.
struct lz4_decompressor {
    static constexpr std::size_t block = std::size_t{8} << 20;

    [[nodiscard]] bool knows(compression method) const noexcept { return method == compression::lz4_legacy; }
    [[nodiscard]] result<std::vector<std::byte>> unpack(std::span<std::byte const> in, std::uint64_t hint,
                                                        std::uint64_t limit) const {
        if (!knows(detect_compression(in)))
            return fail(errc::unsupported, "lz4.magic");
        std::vector<std::byte> out;
        out.reserve(detail::first_buffer(hint, limit));
        std::size_t at = 4;
        while (at < in.size()) {
            le32 stored;
            if (in.size() - at < sizeof stored)
                return fail(errc::truncated, "lz4.block_size", at);
            std::memcpy(static_cast<void*>(&stored), in.data() + at, sizeof stored);
            auto const packed = std::size_t{stored};
            at += sizeof stored;
            if (packed == 0 || (at == in.size() && packed == (out.size() & 0xffff'ffffU)))
                break;
            if (packed > in.size() - at)
                return fail(errc::truncated, "lz4.block", at);
            auto const used = out.size();
            if (used > limit)
                return fail(errc::no_space, "lz4.limit", limit);
            out.resize(used + block);
            auto const n = ::LZ4_decompress_safe(reinterpret_cast<char const*>(in.data() + at),
                                                 reinterpret_cast<char*>(out.data() + used), static_cast<int>(std::min<std::size_t>(packed, 0x7fff'ffff)),
                                                 static_cast<int>(block));
            if (n < 0)
                return fail(errc::bad_format, "lz4.block", at);
            out.resize(used + static_cast<std::size_t>(n));
            if (out.size() > limit)
                return fail(errc::no_space, "lz4.limit", limit);
            at += packed;
        }
        return out;
    }
};
static_assert(Decompressor<lz4_decompressor>);

} // namespace ktstr
