// SPDX-License-Identifier: Apache-2.0
// A rule between two policies: an incremental sink wants to know what changed.
// EXPECT: runner: an incremental SnapshotSink needs a Hypervisor that tracks dirty pages
#include "ktstr/runner/checks.hpp"
#include "ktstr/runner/traits.hpp"

struct incremental_sink : ktstr::null_sink {
#ifdef KTSTR_EXPECT_FAIL
    static constexpr bool incremental = true;
#endif
};
struct traits : ktstr::scripted_runner_traits {
    using sink = incremental_sink;
};
static_assert(ktstr::explain_runner_traits<traits>());
