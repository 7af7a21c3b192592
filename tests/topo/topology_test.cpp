// SPDX-License-Identifier: Apache-2.0
#include "ktstr/topo/topology.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace ktstr;

static_assert(parse_topology("1n2l4c2t").value() == topology{1, 2, 4, 2});
static_assert(cpus(topology{2, 4, 2, 2}) == 16);
static_assert(to_text(topology{2, 4, 2, 2}).view() == "2n4l2c2t");

TEST_CASE("parse_topology: reads every field, letters in either case") {
    CHECK(parse_topology("4n12l8c2t").value() == topology{4, 12, 8, 2});
    CHECK(parse_topology("1N14L18C1T").value() == topology{1, 14, 18, 1});
    CHECK(parse_topology("001n1l1c1t").value() == topology{});
}

TEST_CASE("parse_topology: a wrong character is named by its offset") {
    struct row {
        char const* text;
        std::uint64_t offset;
    };
    for (auto const& [text, offset] : {row{"", 0}, row{"n", 0}, row{"1", 1}, row{"1l", 1}, row{"1n2l4c", 6}, row{"1n2l4c2", 7},
             row{"1n2l4c2t ", 8}, row{"1n2l4c2tt", 8}, row{" 1n2l4c2t", 0}, row{"-1n2l4c2t", 0}, row{"1n,2l", 2}, row{"1n2l4c2x", 7}}) {
        CAPTURE(text);
        auto const got = parse_topology(text);
        REQUIRE(!got);
        CHECK(got.error().code == errc::bad_format);
        CHECK(got.error().where == "topology.text");
        CHECK(got.error().value == offset);
    }
    CHECK(parse_topology("1n9999999999l1c1t").error() == error{errc::out_of_range, 0, 2, "topology.number"});
}

TEST_CASE("validate: names what is wrong and its number") {
    CHECK(validate({0, 1, 1, 1}).error() == error{errc::invalid_argument, 0, 0, "topology.nodes"});
    CHECK(validate({1, 0, 1, 1}).error() == error{errc::invalid_argument, 0, 0, "topology.llcs"});
    CHECK(validate({1, 1, 0, 1}).error() == error{errc::invalid_argument, 0, 0, "topology.cores"});
    CHECK(validate({1, 1, 1, 0}).error() == error{errc::invalid_argument, 0, 0, "topology.threads"});
    CHECK(validate({2, 3, 1, 1}).error() == error{errc::invalid_argument, 0, 3, "topology.llcs_per_node"});
    CHECK(validate({3, 2, 1, 1}).error() == error{errc::invalid_argument, 0, 2, "topology.llcs_per_node"});
    CHECK(validate({1, 23, 11, 1}).error() == error{errc::out_of_range, 0, 253, "topology.cpus"});
    CHECK(validate({65, 65, 1, 1}).error() == error{errc::out_of_range, 0, 65, "topology.nodes"});
    CHECK(validate({1, 999999999, 999999999, 999999999}).error().where == "topology.cpus");
    CHECK(validate({1, 0x10000, 0x10000, 1}).error().where == "topology.cpus");
    CHECK(validate({1, 14, 18, 1}));
    CHECK(validate({1, 252, 1, 1}));
}

TEST_CASE("place_of: threads count fastest, and cpu_at is its inverse") {
    topology const t{2, 4, 2, 2};
    CHECK(place_of(t, 0) == cpu_place{0, 0, 0, 0});
    CHECK(place_of(t, 1) == cpu_place{0, 0, 0, 1});
    CHECK(place_of(t, 6) == cpu_place{0, 1, 1, 0});
    CHECK(place_of(t, 8) == cpu_place{1, 2, 0, 0});
    CHECK(place_of(t, 15) == cpu_place{1, 3, 1, 1});
    for (auto const& shape : {t, topology{1, 14, 9, 2}, topology{4, 8, 4, 1}, topology{1, 5, 3, 1}})
        for (std::uint32_t cpu = 0; cpu < cpus(shape); ++cpu)
            CHECK(cpu_at(shape, place_of(shape, cpu)) == cpu);
}

TEST_CASE("to_text: parse reads it back, and the largest numbers fit") {
    for (auto const& shape : {topology{}, topology{4, 12, 8, 2}, topology{1, 252, 1, 1}})
        CHECK(parse_topology(to_text(shape).view()).value() == shape);
    CHECK(to_text({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}).view() == "4294967295n4294967295l4294967295c4294967295t");
}
