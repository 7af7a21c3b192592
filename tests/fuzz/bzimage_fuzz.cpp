// SPDX-License-Identifier: Apache-2.0
// Any bytes as a kernel file: parsing and unpacking end, and every view lies inside the input.
#include "ktstr/boot/decompress_lz4.hpp"
#include "ktstr/boot/decompress_lzma.hpp"
#include "ktstr/boot/decompress_zlib.hpp"
#include "ktstr/boot/decompress_zstd.hpp"
#include "ktstr/store/kernel_unpack.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace ktstr;
    using all = decompressor_set<zlib_decompressor, lzma_decompressor, zstd_decompressor, lz4_decompressor>;
    auto const input = std::as_bytes(std::span(data, size));
    constexpr std::uint64_t limit = 1 << 20;
    if (auto const image = parse_bzimage(input)) {
        if (image->payload.size() > size || image->version.size() > size)
            __builtin_trap();
        // Straight, because unpack_kernel allows far more than a fuzzer has time for.
        if (auto const raw = all{}.unpack(image->payload, image->payload_size_hint, limit); raw && raw->size() > limit)
            __builtin_trap();
    } else {
        static_cast<void>(all{}.unpack(input, size, limit));
    }
    if (detect_kernel(input) != kernel_kind::bzimage)
        static_cast<void>(unpack_kernel(input, zlib_decompressor{}));
    return 0;
}
