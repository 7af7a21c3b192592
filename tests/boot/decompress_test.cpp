// SPDX-License-Identifier: Apache-2.0
#include "ktstr/boot/decompress.hpp"
#include "ktstr/boot/decompress_lz4.hpp"
#include "ktstr/boot/decompress_lzma.hpp"
#include "ktstr/boot/decompress_zlib.hpp"
#include "ktstr/boot/decompress_zstd.hpp"

#include "suites/decompressor_suite.hpp"

#include <algorithm>
#include <array>
#include <doctest/doctest.h>
#include <string_view>

using namespace ktstr;
using namespace ktstr::test;
using byte_list = std::vector<std::byte>;

namespace {

byte_list pack_gzip(byte_list const& in) {
    z_stream stream{};
    ::deflateInit2(&stream, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
    byte_list out(::deflateBound(&stream, in.size()) + 64);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(in.data()));
    stream.avail_in = static_cast<uInt>(in.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    ::deflate(&stream, Z_FINISH);
    out.resize(stream.total_out);
    ::deflateEnd(&stream);
    return out;
}

/// As scripts/xz_wrap.sh of the kernel does it: the x86 filter in front, CRC32.
byte_list pack_xz(byte_list const& in) {
    lzma_options_lzma options;
    ::lzma_lzma_preset(&options, 0);
    lzma_filter const filters[] = {{LZMA_FILTER_X86, nullptr}, {LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, nullptr}};
    byte_list out(::lzma_stream_buffer_bound(in.size()));
    std::size_t used = 0;
    REQUIRE(::lzma_stream_buffer_encode(const_cast<lzma_filter*>(filters), LZMA_CHECK_CRC32, nullptr,
                                        reinterpret_cast<std::uint8_t const*>(in.data()), in.size(),
                                        reinterpret_cast<std::uint8_t*>(out.data()), &used, out.size()) == LZMA_OK);
    out.resize(used);
    return out;
}

byte_list pack_lzma(byte_list const& in) {
    lzma_options_lzma options;
    ::lzma_lzma_preset(&options, 0);
    lzma_stream stream = LZMA_STREAM_INIT;
    REQUIRE(::lzma_alone_encoder(&stream, &options) == LZMA_OK);
    byte_list out(in.size() + in.size() / 2 + 4096);
    stream.next_in = reinterpret_cast<std::uint8_t const*>(in.data());
    stream.avail_in = in.size();
    stream.next_out = reinterpret_cast<std::uint8_t*>(out.data());
    stream.avail_out = out.size();
    REQUIRE(::lzma_code(&stream, LZMA_FINISH) == LZMA_STREAM_END);
    out.resize(stream.total_out);
    ::lzma_end(&stream);
    return out;
}

byte_list pack_zstd(byte_list const& in) {
    byte_list out(ZSTD_compressBound(in.size()));
    out.resize(ZSTD_compress(out.data(), out.size(), in.data(), in.size(), 1));
    return out;
}

byte_list pack_lz4(byte_list const& in) {
    byte_list out{std::byte{2}, std::byte{0x21}, std::byte{0x4c}, std::byte{0x18}};
    for (std::size_t at = 0; at < in.size(); at += lz4_decompressor::block) {
        auto const n = std::min(in.size() - at, lz4_decompressor::block);
        byte_list packed(static_cast<std::size_t>(LZ4_compressBound(static_cast<int>(n))));
        auto const size = LZ4_compress_default(reinterpret_cast<char const*>(in.data() + at),
                                               reinterpret_cast<char*>(packed.data()), static_cast<int>(n),
                                               static_cast<int>(packed.size()));
        for (unsigned i = 0; i < 4; ++i)
            out.push_back(static_cast<std::byte>(size >> (8 * i)));
        out.insert(out.end(), packed.begin(), packed.begin() + size);
    }
    return out;
}

using every = decompressor_set<zlib_decompressor, lzma_decompressor, zstd_decompressor, lz4_decompressor>;

} // namespace

TEST_CASE("Decompressor: zlib") { decompressor_suite(zlib_decompressor{}, compression::gzip, pack_gzip); }
TEST_CASE("Decompressor: lzma, xz") { decompressor_suite(lzma_decompressor{}, compression::xz, pack_xz); }
TEST_CASE("Decompressor: lzma, legacy") { decompressor_suite(lzma_decompressor{}, compression::lzma, pack_lzma); }
TEST_CASE("Decompressor: zstd") { decompressor_suite(zstd_decompressor{}, compression::zstd, pack_zstd); }
TEST_CASE("Decompressor: lz4") { decompressor_suite(lz4_decompressor{}, compression::lz4_legacy, pack_lz4); }
TEST_CASE("Decompressor: the set unpacks what its members know") {
    decompressor_suite(every{}, compression::gzip, pack_gzip);
    decompressor_suite(every{}, compression::lz4_legacy, pack_lz4);
    CHECK_FALSE(every{}.knows(compression::bzip2));
}

namespace {
// [own_decompressor]
/// Takes modules and kernels that are not compressed at all.
struct plain_decompressor {
    [[nodiscard]] bool knows(compression method) const noexcept { return method == compression::none; }
    [[nodiscard]] result<std::vector<std::byte>> unpack(std::span<std::byte const> in, std::uint64_t,
                                                        std::uint64_t limit) const {
        if (detect_compression(in) != compression::none)
            return fail(errc::unsupported, "plain.magic");
        if (in.size() > limit)
            return fail(errc::no_space, "plain.limit", limit);
        return std::vector<std::byte>(in.begin(), in.end());
    }
};
static_assert(explain_decompressor<plain_decompressor>());
// [/own_decompressor]
} // namespace

TEST_CASE("decompress: a harness's own model joins a set") {
    byte_list const in(10, std::byte{7});
    CHECK(*decompressor_set<zstd_decompressor, plain_decompressor>{}.unpack(in, 0, 10) == in);
}

TEST_CASE("decompress: the null model refuses everything and names the method") {
    static_assert(explain_decompressor<no_decompressor>());
    auto const packed = pack_zstd(byte_list(100));
    auto const got = no_decompressor{}.unpack(packed, 0, 1000);
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::unsupported);
    CHECK(got.error().value == static_cast<std::uint64_t>(compression::zstd));
    CHECK(decompressor_set<>{}.unpack(packed, 0, 1000).error() == got.error());
}

TEST_CASE("decompress: damage inside a stream is found where the format has a checksum") {
    byte_list content(5000);
    for (std::size_t i = 0; i < content.size(); ++i)
        content[i] = static_cast<std::byte>(i * i);
    for (auto const& packed : {pack_gzip(content), pack_xz(content)}) {
        auto broken = packed;
        broken[broken.size() / 2] ^= std::byte{0x10};
        auto const got = every{}.unpack(broken, 0, 1 << 20);
        CHECK_FALSE(got);
    }
}

TEST_CASE("decompress: every magic is told from the others") {
    using namespace std::string_view_literals;
    struct row {
        std::string_view head;
        compression want;
    };
    constexpr std::array rows{row{"\x1f\x8b\x08"sv, compression::gzip},
                              row{"\xfd"
                                  "7zXZ\0"sv,
                                  compression::xz},
                              row{"\x28\xb5\x2f\xfd"sv, compression::zstd},
                              row{"\x02\x21\x4c\x18"sv, compression::lz4_legacy},
                              row{"BZh9"sv, compression::bzip2},
                              row{"\x89LZO\0\r\n\x1a"sv, compression::lzo},
                              row{"\x5d\0\0\0"sv, compression::lzma},
                              row{"\x7f"
                                  "ELF"sv,
                                  compression::none},
                              row{""sv, compression::none}};
    for (auto const& r : rows) {
        CHECK(detect_compression(std::as_bytes(std::span(r.head.data(), r.head.size()))) == r.want);
        CHECK_FALSE(name_of(r.want).empty());
    }
}
