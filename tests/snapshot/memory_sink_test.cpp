// SPDX-License-Identifier: Apache-2.0
#include "ktstr/snapshot/memory_sink.hpp"

#include "ktstr/snapshot/put_ram.hpp"
#include "snapshot/sample_machine.hpp"
#include "suites/snapshot_sink_suite.hpp"

using namespace ktstr;
using test::sample_machine;
using test::text_at;

TEST_CASE("memory_sink: conforms, and keeps what was committed only") {
    memory_sink sink;
    snapshot_sink_suite(sink);
    REQUIRE(sink.all().size() == 3); // generation 2 was given up
    CHECK(sink.all()[0].header().generation == 1);
    CHECK(sink.all()[1].header().generation == 3);
}

TEST_CASE("memory_sink: snapshots are found by name, the last of that name first") {
    memory_sink sink;
    sample_machine machine;
    auto header = machine.header(1);
    auto const take = [&] {
        REQUIRE(sink.begin(header));
        REQUIRE(put_ram(sink, machine.memory));
        REQUIRE(sink.commit());
    };
    take();
    auto const* const first = sink.find("sample");
    machine.write(0x1000, "other");
    header.generation = 2;
    take();
    header.tag = "late";
    take();
    REQUIRE(first != nullptr);
    CHECK(text_at(*first, gpa{0x1000}, 10) == "first page");
    REQUIRE(sink.find("sample") != nullptr);
    CHECK(sink.find("sample")->header().generation == 2);
    CHECK(text_at(*sink.find("late"), gpa{0x1000}, 5) == "other");
    CHECK(text_at(*first, gpa{4 * GiB + 3 * MiB + 5}, 4) == "high");
    CHECK(text_at(*first, gpa{0xffe}, 4) == std::string("\0\0fi", 4));
    std::array<std::byte, 2> two{};
    CHECK(first->read(gpa{16 * MiB - 1}, two).error().code == errc::out_of_range);
    CHECK(sink.find("nothing") == nullptr);
    auto header_back = first->header();
    header_back.generation = 7;
    test::check_same(header_back.view(), machine.header());
    CHECK(first->next_stored(gpa{0x1001})->raw == 0x1000);
    CHECK(first->next_stored(gpa{0x4000})->raw == 8 * MiB);
    CHECK_FALSE(first->next_stored(gpa{5 * GiB}));
}

TEST_CASE("memory_sink: has a limit over all its snapshots") {
    memory_sink sink(bytes{10000});
    std::array<std::byte, 6000> data{};
    REQUIRE(sink.begin({}));
    CHECK(sink.put({"ram", 1, 0}, data));
    CHECK(sink.put({"ram", 1, 100}, data).error().code == errc::no_space);
    sink.abort();
    REQUIRE(sink.begin({}));
    CHECK(sink.put({"ram", 1, 0}, data));
    REQUIRE(sink.commit());
    REQUIRE(sink.begin({}));
    CHECK(sink.put({"ram", 1, 0}, std::span(data).first(4000)));
    CHECK(sink.put({"ram", 1, 100}, std::span(data).first(0)));
    CHECK(sink.put({"x", 1, 0}, std::span(data).first(1)).error().code == errc::no_space);
}

TEST_CASE("kept_snapshot: offsets ascend, and sections are apart") {
    kept_snapshot kept;
    std::array const a{std::byte{1}, std::byte{2}};
    CHECK(kept.put({"x", 1, 10}, a));
    CHECK(kept.put({"x", 1, 12}, a));
    CHECK(kept.put({"x", 1, 20}, a));
    CHECK(kept.put({"x", 1, 21}, a).error().code == errc::invalid_argument);
    CHECK(kept.put({"y", 1, ~0ULL}, a).error().code == errc::invalid_argument);
    std::array<std::byte, 12> out;
    kept.read_section("x", 11, out);
    CHECK(out == std::array{std::byte{2}, std::byte{1}, std::byte{2}, std::byte{}, std::byte{}, std::byte{}, std::byte{},
                            std::byte{}, std::byte{}, std::byte{1}, std::byte{2}, std::byte{}});
    kept.read_section("z", 0, out);
    CHECK(out == std::array<std::byte, 12>{});
}
