// SPDX-License-Identifier: Apache-2.0
#include "ktstr/hv/msi.hpp"

#include "suites/msi_sink_suite.hpp"

#include <atomic>
#include <doctest/doctest.h>
#include <utility>

using namespace ktstr;

namespace {
struct null_probe {
    null_msi msi;
    null_msi& sink() { return msi; }
    std::uint64_t arrived() { return 0; }
    std::uint64_t expected(std::uint64_t) { return 0; }
};
struct counting_probe {
    counting_msi msi;
    counting_msi& sink() { return msi; }
    std::uint64_t arrived() { return std::exchange(msi.count, 0); }
    std::uint64_t expected(std::uint64_t n) { return n; }
};
// [own_sink]
/// Remembers which vector was asked for last, for a machine that polls. Any thread may send.
struct latch_msi {
    std::atomic<std::uint32_t> vector{0};
    void send(msi_message const& message) noexcept { vector.store(message.data & 0xff, std::memory_order_release); }
};
static_assert(explain_msi_sink<latch_msi>());
// [/own_sink]
struct latch_probe {
    latch_msi msi;
    latch_msi& sink() { return msi; }
    std::uint64_t arrived() { return msi.vector.exchange(0) != 0 ? 1 : 0; }
    std::uint64_t expected(std::uint64_t n) { return n > 0 ? 1 : 0; }
};
} // namespace

TEST_CASE_TEMPLATE_INVOKE(msi_sink_suite, null_probe, counting_probe, latch_probe);

TEST_CASE("counting_msi: keeps the last message") {
    counting_msi sink;
    sink.send({0xfee01000, 0x31});
    sink.send({0xfee02000, 0x32});
    CHECK(sink.count == 2);
    CHECK(sink.last == msi_message{0xfee02000, 0x32});
}
