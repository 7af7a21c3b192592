// SPDX-License-Identifier: Apache-2.0
// A decompressor that cannot say in advance what it knows is told so.
// EXPECT: Decompressor: missing `bool knows(compression) const noexcept`
#include "ktstr/boot/decompress.hpp"

struct good_model {
    [[nodiscard]] bool knows(ktstr::compression) const noexcept { return false; }
    [[nodiscard]] ktstr::result<std::vector<std::byte>> unpack(std::span<std::byte const>, std::uint64_t,
                                                               std::uint64_t) const {
        return {};
    }
};
struct bad_model {
    [[nodiscard]] ktstr::result<std::vector<std::byte>> unpack(std::span<std::byte const>, std::uint64_t,
                                                               std::uint64_t) const {
        return {};
    }
};
static_assert(ktstr::explain_decompressor<good_model>());
#ifdef KTSTR_EXPECT_FAIL
static_assert(ktstr::explain_decompressor<bad_model>());
#endif
