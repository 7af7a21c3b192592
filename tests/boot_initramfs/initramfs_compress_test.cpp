// SPDX-License-Identifier: Apache-2.0
#include "ktstr/boot/initramfs_compress.hpp"

#include "ktstr/base/cursor.hpp"
#include "ktstr/boot/initramfs_lz4.hpp"
#include "ktstr/boot/initramfs_zstd.hpp"
#include "suites/compressor_suite.hpp"

#include <doctest/doctest.h>
#include <lz4.h>
#include <vector>
#include <zstd.h>

using namespace ktstr;

namespace {
// [own_compressor]
/// zstd for images that are kept long: slower to make, smaller.
struct small_zstd {
    [[nodiscard]] std::string_view name() const noexcept { return "zst19"; }
    [[nodiscard]] result<std::vector<std::byte>> compress(std::span<std::byte const> archive) const {
        std::vector<std::byte> out(ZSTD_compressBound(archive.size()));
        auto const n = ZSTD_compress(out.data(), out.size(), archive.data(), archive.size(), 19);
        if (ZSTD_isError(n) != 0)
            return fail(errc::internal, "small_zstd", archive.size());
        out.resize(n);
        return out;
    }
};
static_assert(explain_compressor<small_zstd>());
// [/own_compressor]
} // namespace

TEST_CASE("Compressor: one of your own") {
    std::vector<std::byte> const zeros(100000);
    CHECK(small_zstd{}.compress(zeros)->size() < 100);
}

TEST_CASE("Compressor: store_only") {
    test::compressor_suite(store_only{}, [](std::span<std::byte const> packed) {
        return std::vector<std::byte>(packed.begin(), packed.end());
    });
}

TEST_CASE("Compressor: zstd_compressor makes one frame") {
    test::compressor_suite(zstd_compressor{}, [](std::span<std::byte const> packed) {
        CHECK(ZSTD_findFrameCompressedSize(packed.data(), packed.size()) == packed.size());
        std::vector<std::byte> out(32 << 20);
        auto const n = ZSTD_decompress(out.data(), out.size(), packed.data(), packed.size());
        REQUIRE(ZSTD_isError(n) == 0);
        out.resize(n);
        return out;
    });
}

TEST_CASE("Compressor: lz4_compressor makes legacy blocks and ends with a size of 0") {
    test::compressor_suite(lz4_compressor{}, [](std::span<std::byte const> packed) {
        std::vector<std::byte> out;
        reader in(packed);
        CHECK(in.get<le32>()->get() == 0x184C2102);
        for (;;) {
            auto const size = in.get<le32>();
            REQUIRE(size);
            if (size->get() == 0)
                break;
            auto const block = in.take(size->get());
            REQUIRE(block);
            std::vector<std::byte> plain(8 << 20);
            auto const n = LZ4_decompress_safe(reinterpret_cast<char const*>(block->data()), reinterpret_cast<char*>(plain.data()),
                                               static_cast<int>(block->size()), static_cast<int>(plain.size()));
            REQUIRE(n > 0);
            out.insert(out.end(), plain.begin(), plain.begin() + n);
        }
        CHECK(in.at_end());
        return out;
    });
}
