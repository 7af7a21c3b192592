// SPDX-License-Identifier: Apache-2.0
/// \file
/// `ChunkCodec` model over libzstd.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/snapshot/chunk_codec.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <zstd.h>

namespace ktstr {

/// Packs each chunk as one zstd frame (RFC 8878). Contexts are made at the first use and kept: a level 1 one takes about
/// 0.6 MiB.
class zstd_chunks {
public:
    static constexpr std::uint16_t id = 1;

    explicit zstd_chunks(int level = 1) noexcept : level_(level) {}
    zstd_chunks(zstd_chunks&& other) noexcept
        : level_(other.level_), packer_(std::exchange(other.packer_, nullptr)), unpacker_(std::exchange(other.unpacker_, nullptr)) {}
    zstd_chunks& operator=(zstd_chunks&& other) noexcept {
        std::swap(level_, other.level_);
        std::swap(packer_, other.packer_);
        std::swap(unpacker_, other.unpacker_);
        return *this;
    }
    ~zstd_chunks() {
        ::ZSTD_freeCCtx(packer_);
        ::ZSTD_freeDCtx(unpacker_);
    }

    [[nodiscard]] result<std::size_t> pack(std::span<std::byte const> in, std::span<std::byte> out) noexcept {
        if (packer_ == nullptr)
            packer_ = ::ZSTD_createCCtx();
        if (packer_ == nullptr)
            return fail(errc::no_space, "zstd.init");
        auto const n = ::ZSTD_compressCCtx(packer_, out.data(), out.size(), in.data(), in.size(), level_);
        return ::ZSTD_isError(n) != 0 ? std::size_t{0} : n; // "too small" is the only error this call can have
    }

    [[nodiscard]] result<> unpack(std::span<std::byte const> in, std::span<std::byte> out) noexcept {
        if (unpacker_ == nullptr)
            unpacker_ = ::ZSTD_createDCtx();
        if (unpacker_ == nullptr)
            return fail(errc::no_space, "zstd.init");
        auto const n = ::ZSTD_decompressDCtx(unpacker_, out.data(), out.size(), in.data(), in.size());
        if (n != out.size()) // error codes are larger than any size
            return fail(errc::bad_format, "zstd.chunk", in.size());
        return {};
    }

private:
    int level_;
    ::ZSTD_CCtx* packer_ = nullptr;
    ::ZSTD_DCtx* unpacker_ = nullptr;
};
static_assert(ChunkCodec<zstd_chunks>);

} // namespace ktstr
