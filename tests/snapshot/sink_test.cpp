// SPDX-License-Identifier: Apache-2.0
#include "ktstr/snapshot/sink.hpp"

#include "suites/snapshot_sink_suite.hpp"

#include <vector>

using namespace ktstr;

namespace {

// [own_sink]
/// Remembers the instruction pointers of the last snapshot, and takes no memory at all.
struct where_are_they {
    static constexpr bool incremental = false;
    std::vector<std::uint64_t> pointers{};
    result<> begin(snapshot_header const& h) {
        pointers.clear();
        for (auto const& cpu : h.vcpus)
            pointers.push_back(cpu.value("rip"));
        return {};
    }
    result<> put(snapshot_section const&, std::span<std::byte const>) { return {}; }
    result<> commit() { return {}; }
    void abort() noexcept { pointers.clear(); }
};
static_assert(explain_snapshot_sink<where_are_they>());
// [/own_sink]

} // namespace

TEST_CASE("a sink of one's own conforms") {
    where_are_they sink;
    snapshot_sink_suite(sink);
    vcpu_record cpu;
    cpu.registers = {{"rip", register_group::general, 7}};
    snapshot_header header;
    header.vcpus = std::span(&cpu, 1);
    CHECK(sink.begin(header));
    CHECK(sink.pointers == std::vector<std::uint64_t>{7});
}

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
