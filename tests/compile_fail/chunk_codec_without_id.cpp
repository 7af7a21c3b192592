// SPDX-License-Identifier: Apache-2.0
// A codec without a number in the file is told so.
// EXPECT: ChunkCodec: missing `static constexpr uint16_t id`
#include "ktstr/snapshot/chunk_codec.hpp"

struct bad_codec {
    ktstr::result<std::size_t> pack(std::span<std::byte const>, std::span<std::byte>) { return std::size_t{0}; }
    ktstr::result<> unpack(std::span<std::byte const>, std::span<std::byte>) { return {}; }
};
static_assert(ktstr::explain_chunk_codec<ktstr::plain_chunks>());
#ifdef KTSTR_EXPECT_FAIL
static_assert(ktstr::explain_chunk_codec<bad_codec>());
#endif
