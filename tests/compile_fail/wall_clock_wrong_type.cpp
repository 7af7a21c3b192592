// SPDX-License-Identifier: Apache-2.0
// A clock that counts in another type is told what is wanted.
// EXPECT: WallClock: missing `int64_t unix_seconds() const noexcept`
#include "ktstr/dev/cmos_rtc.hpp"

struct good_clock {
    [[nodiscard]] std::int64_t unix_seconds() const noexcept { return 0; }
};
struct bad_clock {
    [[nodiscard]] double unix_seconds() const noexcept { return 0; }
};
static_assert(ktstr::explain_wall_clock<good_clock>());
#ifdef KTSTR_EXPECT_FAIL
static_assert(ktstr::explain_wall_clock<bad_clock>());
#endif
