// SPDX-License-Identifier: Apache-2.0
// EXPECT: ImageSource: missing `result<> read(span<byte>, uint64_t offset) const noexcept`
#include "ktstr/boot/load_vmlinux.hpp"

struct bad_source {
    [[nodiscard]] ktstr::result<> read(std::span<std::byte>, std::uint64_t) const { return {}; }
};
static_assert(ktstr::explain_image_source<ktstr::null_source>());
#ifdef KTSTR_EXPECT_FAIL
static_assert(ktstr::explain_image_source<bad_source>());
#endif
