// SPDX-License-Identifier: Apache-2.0
// A clock without noexcept is told what is missing.
// EXPECT: Clock: missing `nanos now() const noexcept`
#include "ktstr/base/clock.hpp"

struct good_clock {
    [[nodiscard]] ktstr::nanos now() const noexcept { return {}; }
};
struct bad_clock {
    [[nodiscard]] ktstr::nanos now() const { return {}; }
};
static_assert(ktstr::explain_clock<good_clock>());
#ifdef KTSTR_EXPECT_FAIL
static_assert(ktstr::explain_clock<bad_clock>());
#endif
