// SPDX-License-Identifier: Apache-2.0
// An interrupt line that may throw is told what is missing.
// EXPECT: IrqLine: missing `void pulse() noexcept`
#include "ktstr/dev/irq_line.hpp"

struct good_line {
    void pulse() noexcept {}
};
struct bad_line {
    void pulse() {}
};
static_assert(ktstr::explain_irq_line<good_line>());
#ifdef KTSTR_EXPECT_FAIL
static_assert(ktstr::explain_irq_line<bad_line>());
#endif
