// SPDX-License-Identifier: Apache-2.0
#include "ktstr/snapshot/sink.hpp"

#include "suites/snapshot_sink_suite.hpp"

using namespace ktstr;

TEST_CASE("null_sink: conforms and counts the bytes of the snapshot at hand") {
    null_sink sink;
    snapshot_sink_suite(sink);
    std::array<std::byte, 10> ten{};
    CHECK(sink.begin({}));
    CHECK(sink.put({"ram", 1, 0}, ten));
    CHECK(sink.put({"ram", 1, 10}, ten));
    CHECK(sink.total == 20);
    sink.abort();
    CHECK(sink.total == 0);
}
