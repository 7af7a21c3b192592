// SPDX-License-Identifier: Apache-2.0
/// \file
/// `Decompressor` model for xz and .lzma over liblzma.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/scope_exit.hpp"
#include "ktstr/boot/decompress.hpp"

#include <cstddef>
#include <cstdint>
#include <lzma.h>
#include <span>
#include <vector>

namespace ktstr {

/// Unpacks one xz stream (with the x86 filter that kernels use) or one legacy .lzma stream; checksums are checked.
/// A stream that asks for more than 256 MiB of decoder memory is refused as `errc::no_space`.
struct lzma_decompressor {
    static constexpr std::uint64_t memory_limit = 256U << 20;

    [[nodiscard]] bool knows(compression method) const noexcept {
        return method == compression::xz || method == compression::lzma;
    }
    [[nodiscard]] result<std::vector<std::byte>> unpack(std::span<std::byte const> in, std::uint64_t hint,
                                                        std::uint64_t limit) const {
        auto const method = detect_compression(in);
        if (!knows(method))
            return fail(errc::unsupported, "xz.magic");
        lzma_stream stream = LZMA_STREAM_INIT;
        auto const made = method == compression::xz ? ::lzma_stream_decoder(&stream, memory_limit, 0)
                                                    : ::lzma_alone_decoder(&stream, memory_limit);
        if (made != LZMA_OK)
            return fail(errc::internal, "xz.init", made);
        scope_exit const end([&]() noexcept { ::lzma_end(&stream); });
        std::vector<std::byte> out(detail::first_buffer(hint, limit));
        stream.next_in = reinterpret_cast<std::uint8_t const*>(in.data());
        stream.avail_in = in.size();
        std::size_t used = 0;
        for (;;) {
            if (used == out.size()) {
                if (out.size() > limit)
                    return fail(errc::no_space, "xz.limit", limit);
                out.resize(detail::next_buffer(out.size(), limit));
            }
            stream.next_out = reinterpret_cast<std::uint8_t*>(out.data() + used);
            stream.avail_out = out.size() - used;
            auto const status = ::lzma_code(&stream, LZMA_RUN);
            used = out.size() - stream.avail_out;
            if (used > limit)
                return fail(errc::no_space, "xz.limit", limit);
            if (status == LZMA_STREAM_END)
                break;
            auto const taken = in.size() - stream.avail_in;
            if (status == LZMA_BUF_ERROR || (status == LZMA_OK && stream.avail_in == 0 && stream.avail_out != 0))
                return fail(errc::truncated, "xz.stream", taken);
            if (status == LZMA_MEMLIMIT_ERROR)
                return fail(errc::no_space, "xz.memory", memory_limit);
            if (status != LZMA_OK)
                return fail(errc::bad_format, "xz.stream", taken);
        }
        out.resize(used);
        return out;
    }
};
static_assert(Decompressor<lzma_decompressor>);

} // namespace ktstr
