// SPDX-License-Identifier: Apache-2.0
// A sink that may throw is told what is missing.
// EXPECT: ByteSink: missing `void put(span<byte const>) noexcept`
#include "ktstr/dev/byte_sink.hpp"

struct good_sink {
    void put(std::span<std::byte const>) noexcept {}
};
struct bad_sink {
    void put(std::span<std::byte const>) {}
};
static_assert(ktstr::explain_byte_sink<good_sink>());
#ifdef KTSTR_EXPECT_FAIL
static_assert(ktstr::explain_byte_sink<bad_sink>());
#endif
