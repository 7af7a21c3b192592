// SPDX-License-Identifier: Apache-2.0
/// \file
/// `Compressor` model over liblz4 in the "legacy frame" that the kernel reads. The guest kernel needs CONFIG_RD_LZ4.
///
/// Legacy frame (lz4_Frame_format.md, "Legacy frame"): magic 0x184C2102, then blocks of 8 MiB of input each (the last
/// may be shorter): le32 compressed size, compressed bytes. It has no end mark: the kernel's decompressor stops at a
/// size of 0, so at least four zeros must follow before another archive (linux 6.12 lib/decompress_unlz4.c).
#pragma once

#include "ktstr/base/cursor.hpp"
#include "ktstr/base/endian.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/boot/initramfs_compress.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <lz4.h>
#include <span>
#include <string_view>
#include <vector>

namespace ktstr {

/// LZ4 blocks at the fast level, with the end mark (a size of 0) included.
struct lz4_compressor {
    static constexpr std::uint32_t magic = 0x184C2102;
    static constexpr std::size_t block = 8 * MiB;

    [[nodiscard]] std::string_view name() const noexcept { return "lz4"; }
    [[nodiscard]] result<std::vector<std::byte>> compress(std::span<std::byte const> archive) const {
        std::vector<std::byte> out;
        append(out, magic);
        while (!archive.empty()) {
            auto const piece = archive.first(archive.size() < block ? archive.size() : block);
            archive = archive.subspan(piece.size());
            auto const at = out.size();
            auto const bound = LZ4_compressBound(static_cast<int>(piece.size()));
            out.resize(at + 4 + static_cast<std::size_t>(bound));
            auto const n = LZ4_compress_default(reinterpret_cast<char const*>(piece.data()),
                                                reinterpret_cast<char*>(out.data() + at + 4),
                                                static_cast<int>(piece.size()), bound);
            if (n <= 0)
                return fail(errc::internal, "initramfs.lz4", piece.size());
            auto const size = le32(static_cast<std::uint32_t>(n));
            std::memcpy(out.data() + at, &size, sizeof size);
            out.resize(at + 4 + static_cast<std::size_t>(n));
        }
        append(out, 0);
        return out;
    }

private:
    static void append(std::vector<std::byte>& out, std::uint32_t value) {
        auto const stored = le32(value);
        auto const raw = bytes_of(stored);
        out.insert(out.end(), raw.begin(), raw.end());
    }
};
static_assert(Compressor<lz4_compressor>);

} // namespace ktstr
