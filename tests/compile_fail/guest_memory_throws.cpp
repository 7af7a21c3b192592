// SPDX-License-Identifier: Apache-2.0
// EXPECT: GuestMemory: missing `result<span<byte>> slice(gpa, uint64_t) const noexcept`
#include "ktstr/mem/guest_memory.hpp"

struct bad_memory {
    [[nodiscard]] ktstr::result<std::span<std::byte>> slice(ktstr::gpa, std::uint64_t) const { return {}; }
};
static_assert(ktstr::explain_guest_memory<ktstr::null_memory>());
#ifdef KTSTR_EXPECT_FAIL
static_assert(ktstr::explain_guest_memory<bad_memory>());
#endif
