// SPDX-License-Identifier: Apache-2.0
/// \file
/// `Compressor` model over libzstd. The guest kernel needs CONFIG_RD_ZSTD.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/boot/initramfs_compress.hpp"

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>
#include <zstd.h>

namespace ktstr {

/// One zstd frame at level 1: the fastest to make; decompression speed hardly depends on the level.
struct zstd_compressor {
    [[nodiscard]] std::string_view name() const noexcept { return "zst1"; }
    [[nodiscard]] result<std::vector<std::byte>> compress(std::span<std::byte const> archive) const {
        std::vector<std::byte> out(ZSTD_compressBound(archive.size()));
        auto const n = ZSTD_compress(out.data(), out.size(), archive.data(), archive.size(), 1);
        if (ZSTD_isError(n) != 0)
            return fail(errc::internal, "initramfs.zstd", archive.size());
        out.resize(n);
        return out;
    }
};
static_assert(Compressor<zstd_compressor>);

} // namespace ktstr
