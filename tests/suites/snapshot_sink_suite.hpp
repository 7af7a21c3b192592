// SPDX-License-Identifier: Apache-2.0
/// \file
/// What every model of `SnapshotSink` takes: whole snapshots one after the other, empty ones, and ones that are given up.
#pragma once

#include "ktstr/snapshot/sink.hpp"

#include <array>
#include <doctest/doctest.h>

template <ktstr::SnapshotSink S>
void snapshot_sink_suite(S& sink) {
    using namespace ktstr;
    static_assert(explain_snapshot_sink<S>());
    std::array<std::byte, 4096> page{};
    std::array const ram{ram_region{{gpa{0}, bytes{12288}}, 0, bytes{0}}};
    std::array<vcpu_record, 2> vcpus{};
    vcpus[1].index = 1;
    for (std::uint64_t generation = 1; generation <= 3; ++generation) {
        snapshot_header header;
        header.arch = "x86_64";
        header.generation = generation;
        header.ram = ram;
        header.vcpus = vcpus;
        REQUIRE(sink.begin(header));
        CHECK(sink.put({"cpu", 1, 0}, std::span(page).first(512)));
        CHECK(sink.put({"ram", 1, 0}, page));
        CHECK(sink.put({"ram", 1, 4096}, page));
        CHECK(sink.put({"ram", 1, 8192}, {}));
        if (generation == 2)
            sink.abort();
        else
            CHECK(sink.commit());
    }
    REQUIRE(sink.begin({}));
    CHECK(sink.commit());
}
