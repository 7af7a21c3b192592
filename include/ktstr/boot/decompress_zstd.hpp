// SPDX-License-Identifier: Apache-2.0
/// \file
/// `Decompressor` model for zstd over libzstd.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/scope_exit.hpp"
#include "ktstr/boot/decompress.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>
#include <zstd.h>

namespace ktstr {

/// Unpacks one zstd frame (RFC 8878). Windows up to 128 MiB, which is what kernels are packed with at most.
struct zstd_decompressor {
    [[nodiscard]] bool knows(compression method) const noexcept { return method == compression::zstd; }
    [[nodiscard]] result<std::vector<std::byte>> unpack(std::span<std::byte const> in, std::uint64_t hint,
                                                        std::uint64_t limit) const {
        if (!knows(detect_compression(in)))
            return fail(errc::unsupported, "zstd.magic");
        auto* const context = ::ZSTD_createDCtx();
        if (context == nullptr)
            return fail(errc::no_space, "zstd.init");
        scope_exit const end([&]() noexcept { ::ZSTD_freeDCtx(context); });
        ::ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, 27);
        std::vector<std::byte> out(detail::first_buffer(hint, limit));
        ZSTD_inBuffer source{in.data(), in.size(), 0};
        std::size_t used = 0;
        for (;;) {
            if (used == out.size()) {
                if (out.size() > limit)
                    return fail(errc::no_space, "zstd.limit", limit);
                out.resize(detail::next_buffer(out.size(), limit));
            }
            ZSTD_outBuffer target{out.data(), out.size(), used};
            auto const left = ::ZSTD_decompressStream(context, &target, &source);
            used = target.pos;
            if (used > limit)
                return fail(errc::no_space, "zstd.limit", limit);
            if (::ZSTD_isError(left) != 0)
                return fail(errc::bad_format, "zstd.stream", source.pos);
            if (left == 0)
                break;
            if (source.pos == source.size && used < out.size())
                return fail(errc::truncated, "zstd.stream", source.pos);
        }
        out.resize(used);
        return out;
    }
};
static_assert(Decompressor<zstd_decompressor>);

} // namespace ktstr
