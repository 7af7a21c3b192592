// SPDX-License-Identifier: Apache-2.0
// EXPECT: took_early
#include "ktstr/freeze/state.hpp"

using ktstr::dual_snapshot;
using ktstr::single_snapshot;
#ifdef KTSTR_EXPECT_FAIL
constexpr auto held = single_snapshot::state::took_early;
#else
constexpr auto held = dual_snapshot::state::took_early;
#endif
static_assert(static_cast<int>(held) == 1);
