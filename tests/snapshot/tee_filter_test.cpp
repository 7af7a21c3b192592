// SPDX-License-Identifier: Apache-2.0
#include "ktstr/snapshot/filter.hpp"
#include "ktstr/snapshot/tee.hpp"

#include "ktstr/snapshot/elf_core.hpp"
#include "ktstr/snapshot/file_sink.hpp"
#include "ktstr/snapshot/memory_sink.hpp"
#include "ktstr/snapshot/put_ram.hpp"
#include "snapshot/sample_machine.hpp"
#include "suites/snapshot_sink_suite.hpp"
#include "suites/temp_folder.hpp"

using namespace ktstr;
using test::sample_machine;
using test::text_at;

namespace {

/// Fails its N-th call, counted from 0 over begin, put and commit.
struct failing_sink {
    static constexpr bool incremental = false;
    int fail_at = -1;
    int calls = 0;
    int aborts = 0;
    int commits = 0;
    result<> call() {
        if (calls++ == fail_at)
            return fail(errc::no_space, "failing_sink");
        return {};
    }
    result<> begin(snapshot_header const&) { return call(); }
    result<> put(snapshot_section const&, std::span<std::byte const>) { return call(); }
    result<> commit() {
        auto const done = call();
        commits += done ? 1 : 0;
        return done;
    }
    void abort() noexcept { ++aborts; }
};

} // namespace

TEST_CASE("tee_sink: conforms, and gives everything to everybody") {
    tee_sink<null_sink, memory_sink> both{null_sink{}, memory_sink{}};
    snapshot_sink_suite(both);
    CHECK(both.get<1>().all().size() == 3);
    CHECK_FALSE(both.degraded());
}

TEST_CASE("tee_sink: a sink that fails at any call degrades itself alone") {
    std::array<std::byte, 4096> page{};
    for (int n = 0; n < 4; ++n) {
        CAPTURE(n);
        tee_sink<failing_sink, memory_sink> both{failing_sink{n}, memory_sink{}};
        CHECK(both.begin({}));
        CHECK(both.put({"ram", 1, 0}, page));
        CHECK(both.put({"ram", 1, 4096}, page));
        CHECK(both.commit());
        CHECK(both.degraded());
        REQUIRE(both.failures()[0]);
        CHECK(both.failures()[0]->code == errc::no_space);
        CHECK_FALSE(both.failures()[1]);
        CHECK(both.get<0>().calls == n + 1); // nothing but abort after the failure
        CHECK(both.get<0>().aborts == 1);
        REQUIRE(both.get<1>().all().size() == 1);
        CHECK(both.get<1>().all()[0].stored() == 8192);
        // The next snapshot begins afresh.
        CHECK(both.begin({}));
        CHECK(both.commit());
        CHECK_FALSE(both.degraded());
        CHECK(both.get<0>().commits == 1);
    }
}

TEST_CASE("tee_sink: fails when nobody is left") {
    tee_sink<failing_sink, failing_sink> both{failing_sink{1}, failing_sink{2}};
    CHECK(both.begin({}));
    CHECK(both.put({"ram", 1, 0}, {}));
    CHECK(both.commit().error().code == errc::no_space);
}

TEST_CASE("tee_sink: a full disk under one file leaves the other whole and nothing under its own name") {
    temp_folder folder;
    sample_machine machine;
    tee_sink<elf_core_sink, file_sink> both{elf_core_sink(folder.at("missing/core")), file_sink(folder.at("a"))};
    REQUIRE(both.begin(machine.header()));
    REQUIRE(put_ram(both, machine.memory));
    REQUIRE(both.commit());
    CHECK(both.failures()[0]->code == errc::not_found);
    CHECK(folder.entries() == 1);
}

TEST_CASE("filter_sink: conforms") {
    filter_sink<memory_sink, registers_only> none{memory_sink{}};
    snapshot_sink_suite(none);
    filter_sink<memory_sink, only_ranges> some{memory_sink{}, {{{gpa{4096}, bytes{4096}}}}};
    snapshot_sink_suite(some);
    CHECK(some.inner().all()[0].stored() == 512 + 4096);
}

TEST_CASE("filter_sink: registers only") {
    sample_machine machine;
    filter_sink<memory_sink, registers_only> sink{memory_sink{}};
    REQUIRE(sink.begin(machine.header()));
    REQUIRE(put_ram(sink, machine.memory));
    REQUIRE(sink.put({"other", 1, 0}, std::as_bytes(std::span("x", 1))));
    REQUIRE(sink.commit());
    auto const& kept = sink.inner().all()[0];
    CHECK(kept.stored() == 1);
    CHECK(kept.header().ram.empty());
    CHECK(kept.header().vcpus == machine.cpus);
}

TEST_CASE("filter_sink: RAM inside ranges only, and the header names no other") {
    sample_machine machine;
    // Unsorted, overlapping, over a region's end, and with an end beyond the address space.
    only_ranges const rule{{{gpa{4 * GiB + 3 * MiB}, bytes{~0ULL}}, {gpa{0x1000}, bytes{0x1000}}, {gpa{0x1800}, bytes{0x1000}},
                            {gpa{15 * MiB}, bytes{8 * MiB}}, {gpa{1 * GiB}, bytes{1}}}};
    filter_sink<memory_sink, only_ranges> sink{memory_sink{}, rule};
    REQUIRE(sink.begin(machine.header()));
    REQUIRE(put_ram(sink, machine.memory));
    REQUIRE(sink.commit());
    auto const& kept = sink.inner().all()[0];
    auto const range = [&](std::size_t i) { return kept.header().ram[i].range; };
    REQUIRE(check_regions(kept.header().ram));
    REQUIRE(kept.header().ram.size() == 4);
    CHECK(range(0) == gpa_range{gpa{0x1000}, bytes{0x1000}});
    CHECK(range(1) == gpa_range{gpa{0x2000}, bytes{0x800}});
    CHECK(range(2) == gpa_range{gpa{15 * MiB}, bytes{1 * MiB}});
    CHECK(range(3) == gpa_range{gpa{4 * GiB + 3 * MiB}, bytes{1 * MiB}});
    CHECK(kept.header().ram[3].backing_offset.raw == 19 * MiB);
    CHECK(text_at(kept, gpa{0x1000}, 10) == "first page");
    CHECK(text_at(kept, gpa{4 * GiB + 3 * MiB + 5}, 4) == "high");
    std::array<std::byte, 1> one{};
    CHECK_FALSE(kept.read(gpa{0x2800}, one));
}
