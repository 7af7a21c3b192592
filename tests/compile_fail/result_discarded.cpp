// SPDX-License-Identifier: Apache-2.0
// A fallible call whose answer nobody looks at.
// EXPECT: ignoring return value of
#include "ktstr/sys/io.hpp"

#pragma GCC diagnostic error "-Wunused-result"

void close_down();

void close_down() {
#ifdef KTSTR_EXPECT_FAIL
    ktstr::write_all(1, "bye\n");
#else
    if (!ktstr::write_all(1, "bye\n"))
        return;
#endif
}
