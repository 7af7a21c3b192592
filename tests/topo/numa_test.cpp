// SPDX-License-Identifier: Apache-2.0
#include "ktstr/topo/numa.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace ktstr;

namespace {
error memory_error(char const* text) { return parse_node_memory(text).error(); }
error distance_error(char const* text) { return parse_distances(text).error(); }
numa_layout layout(char const* memory, char const* distances) {
    numa_layout out;
    if (*memory != 0)
        out.memory = parse_node_memory(memory).value();
    if (*distances != 0)
        out.distances = parse_distances(distances).value();
    return out;
}
} // namespace

static_assert(parse_node_memory("1G,0").value().size() == 2);
static_assert(parse_distances("10,20;20,10").value()[1] == 20);

TEST_CASE("parse_node_memory: units, zero and where it goes wrong") {
    auto const got = parse_node_memory("1G,512MiB,0,64k,2T").value();
    CHECK(got == std::vector{bytes{GiB}, bytes{512 * MiB}, bytes{0}, bytes{64 * KiB}, bytes{2048 * GiB}});
    CHECK(memory_error("") == error{errc::bad_format, 0, 0, "numa.memory.text"});
    CHECK(memory_error("1G,") == error{errc::bad_format, 0, 3, "numa.memory.text"});
    CHECK(memory_error("512") == error{errc::bad_format, 0, 3, "numa.memory.text"});
    CHECK(memory_error("1G;2G") == error{errc::bad_format, 0, 2, "numa.memory.text"});
    CHECK(memory_error("1GB") == error{errc::bad_format, 0, 2, "numa.memory.text"});
    CHECK(memory_error("1G,99999999999999999999G") == error{errc::out_of_range, 0, 3, "numa.memory.text"});
    CHECK(memory_error("18446744073709551615K") == error{errc::out_of_range, 0, 0, "numa.memory.text"});
    std::string many = "1G";
    for (int i = 0; i < 64; ++i)
        many += ",1G";
    CHECK(memory_error(many.c_str()) == error{errc::out_of_range, 0, 65, "numa.nodes"});
}

TEST_CASE("parse_distances: square or refused") {
    CHECK(parse_distances("10,21,31;21,10,41;31,41,10").value().size() == 9);
    CHECK(parse_distances("10").value() == std::vector<std::uint8_t>{10});
    CHECK(distance_error("") == error{errc::bad_format, 0, 0, "numa.distance.text"});
    CHECK(distance_error("10,;20,10") == error{errc::bad_format, 0, 3, "numa.distance.text"});
    CHECK(distance_error("10,20") == error{errc::invalid_argument, 0, 0, "numa.distance.square"});
    CHECK(distance_error("10,20;20") == error{errc::invalid_argument, 0, 1, "numa.distance.square"});
    CHECK(distance_error("10,256;20,10") == error{errc::out_of_range, 0, 3, "numa.distance.text"});
    CHECK(distance_error("10 20") == error{errc::bad_format, 0, 2, "numa.distance.text"});
    std::string tall = "1";
    for (int i = 0; i < 64; ++i)
        tall += ";1";
    CHECK(distance_error(tall.c_str()) == error{errc::out_of_range, 0, 65, "numa.nodes"});
}

TEST_CASE("validate: a layout must fit its topology") {
    topology const two{2, 2, 1, 1};
    CHECK(validate(two, layout("", "")));
    CHECK(validate(two, layout("1G,0", "10,20;20,10")));
    CHECK(validate(two, layout("1G,1G,256M", "10,20,30;20,10,30;30,30,10")));
    CHECK(validate(two, layout("1G", "")).error() == error{errc::invalid_argument, 0, 1, "numa.memory.count"});
    CHECK(validate(two, layout("1G,1G,0", "")).error() == error{errc::invalid_argument, 0, 2, "numa.memory.empty_node"});
    CHECK(validate(two, layout("0,0", "")).error() == error{errc::invalid_argument, 0, 0, "numa.memory.none"});
    CHECK(validate(two, layout("1G,8M", "")).error() == error{errc::invalid_argument, 0, 1, "numa.memory.small"});
    CHECK(validate(two, layout("1G,33000K", "")).error() == error{errc::invalid_argument, 0, 1, "numa.memory.granule"});
    CHECK(validate(two, layout("", "10")).error() == error{errc::invalid_argument, 0, 1, "numa.distance.count"});
    CHECK(validate(two, layout("1G,1G,1G", "10,20;20,10")).error().where == "numa.distance.count");
    CHECK(validate(two, layout("", "11,20;20,10")).error() == error{errc::invalid_argument, 0, 0, "numa.distance.diagonal"});
    CHECK(validate(two, layout("", "10,10;10,10")).error() == error{errc::out_of_range, 0, 1, "numa.distance"});
    CHECK(validate(two, layout("", "10,255;255,10")).error() == error{errc::out_of_range, 0, 1, "numa.distance"});
    CHECK(validate(two, layout("", "10,20;21,10")).error() == error{errc::invalid_argument, 0, 1, "numa.distance.symmetry"});
    numa_layout many;
    many.memory.assign(65, bytes{GiB});
    CHECK(validate(two, many).error() == error{errc::out_of_range, 0, 65, "numa.nodes"});
}

TEST_CASE("node_memory: declared sizes stand; otherwise nothing of the total is lost above the granule") {
    topology const three{3, 3, 1, 1};
    CHECK(node_memory(three, {}, bytes{GiB}).value() == std::vector{bytes{342 * MiB}, bytes{341 * MiB}, bytes{341 * MiB}});
    CHECK(node_memory(three, layout("1G,0,2G", ""), bytes{1}).value()[2] == bytes{2 * GiB});
    CHECK(node_memory(three, {}, bytes{47 * MiB}).error() == error{errc::no_space, 0, 47 * MiB, "numa.memory.total"});
}

TEST_CASE("distance: defaults and the declared matrix") {
    topology const two{2, 2, 1, 1};
    CHECK(distance(two, {}, 1, 1) == 10);
    CHECK(distance(two, {}, 0, 1) == 20);
    auto const three = layout("1G,1G,1G", "10,20,30;20,10,40;30,40,10");
    CHECK(node_count(two, three) == 3);
    CHECK(distance(two, three, 2, 1) == 40);
    CHECK(distance(two, three, 0, 2) == 30);
}
