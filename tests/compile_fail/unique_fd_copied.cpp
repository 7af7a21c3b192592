// SPDX-License-Identifier: Apache-2.0
// One owner for a descriptor.
// EXPECT: use of deleted function
// EXPECT: unique_fd
#include "ktstr/sys/fd.hpp"

#include <utility>

void keep(ktstr::unique_fd& mine);

void keep(ktstr::unique_fd& mine) {
#ifdef KTSTR_EXPECT_FAIL
    ktstr::unique_fd twin = mine;
#else
    ktstr::unique_fd twin = std::move(mine);
#endif
    (void)twin.get();
}
