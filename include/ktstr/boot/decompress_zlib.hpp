// SPDX-License-Identifier: Apache-2.0
/// \file
/// `Decompressor` model for gzip over zlib.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/scope_exit.hpp"
#include "ktstr/boot/decompress.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>
#include <zlib.h>

namespace ktstr {

/// Unpacks one gzip member (RFC 1952); its CRC is checked.
struct zlib_decompressor {
    [[nodiscard]] bool knows(compression method) const noexcept { return method == compression::gzip; }
    [[nodiscard]] result<std::vector<std::byte>> unpack(std::span<std::byte const> in, std::uint64_t hint,
                                                        std::uint64_t limit) const {
        if (!knows(detect_compression(in)))
            return fail(errc::unsupported, "gzip.magic");
        z_stream stream{};
        constexpr int gzip_only = 16 + MAX_WBITS;
        if (::inflateInit2(&stream, gzip_only) != Z_OK)
            return fail(errc::internal, "gzip.init");
        scope_exit const end([&]() noexcept { ::inflateEnd(&stream); });
        std::vector<std::byte> out(detail::first_buffer(hint, limit));
        std::size_t used = 0;
        std::size_t taken = 0;
        for (;;) {
            if (used == out.size()) {
                if (out.size() > limit)
                    return fail(errc::no_space, "gzip.limit", limit);
                out.resize(detail::next_buffer(out.size(), limit));
            }
            constexpr auto most = std::numeric_limits<uInt>::max();
            auto const input = static_cast<uInt>(std::min<std::size_t>(in.size() - taken, most));
            auto const room = static_cast<uInt>(std::min<std::size_t>(out.size() - used, most));
            stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(in.data() + taken));
            stream.avail_in = input;
            stream.next_out = reinterpret_cast<Bytef*>(out.data() + used);
            stream.avail_out = room;
            auto const status = ::inflate(&stream, Z_NO_FLUSH);
            taken += input - stream.avail_in;
            used += room - stream.avail_out;
            if (used > limit)
                return fail(errc::no_space, "gzip.limit", limit);
            if (status == Z_STREAM_END)
                break;
            if (status == Z_BUF_ERROR || (status == Z_OK && taken == in.size() && stream.avail_out != 0))
                return fail(errc::truncated, "gzip.stream", taken);
            if (status != Z_OK)
                return fail(errc::bad_format, "gzip.stream", taken);
        }
        out.resize(used);
        return out;
    }
};
static_assert(Decompressor<zlib_decompressor>);

} // namespace ktstr
