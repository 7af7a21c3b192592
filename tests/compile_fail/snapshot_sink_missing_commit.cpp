// SPDX-License-Identifier: Apache-2.0
// A sink that cannot commit is told what is missing.
// EXPECT: SnapshotSink: missing begin(header), put(section, bytes), commit() or abort() noexcept
#include "ktstr/snapshot/sink.hpp"

struct bad_sink {
    static constexpr bool incremental = false;
    ktstr::result<> begin(ktstr::snapshot_header const&) { return {}; }
    ktstr::result<> put(ktstr::snapshot_section const&, std::span<std::byte const>) { return {}; }
    void abort() noexcept {}
};
static_assert(ktstr::explain_snapshot_sink<ktstr::null_sink>());
#ifdef KTSTR_EXPECT_FAIL
static_assert(ktstr::explain_snapshot_sink<bad_sink>());
#endif
