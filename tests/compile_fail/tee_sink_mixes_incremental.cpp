// SPDX-License-Identifier: Apache-2.0
// One stream cannot serve a sink that wants only changes and one that wants everything.
// EXPECT: tee_sink: sinks that want only changes and sinks that want everything cannot share one stream
#include "ktstr/snapshot/tee.hpp"

struct incremental_sink : ktstr::null_sink {
    static constexpr bool incremental = true;
};
using good = ktstr::tee_sink<ktstr::null_sink, ktstr::null_sink>;
static_assert(!good::incremental);
#ifdef KTSTR_EXPECT_FAIL
static_assert(ktstr::tee_sink<ktstr::null_sink, incremental_sink>::incremental);
#endif
