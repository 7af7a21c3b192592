// SPDX-License-Identifier: Apache-2.0
#include "ktstr/mem/mmap_memory.hpp"

#include "suites/guest_memory_suite.hpp"
#include "suites/ram_backing_suite.hpp"

#include <array>

using namespace ktstr;

static constexpr gpa_range hole{gpa{3 * MiB}, bytes{1 * MiB}};

TEST_CASE("RamBacking: every model conforms") {
    CHECK(ram_backing_suite<anonymous_ram>(bytes{5 * 4096}));
    CHECK(ram_backing_suite<memfd_ram>(bytes{5 * 4096}));
    if (!ram_backing_suite<hugetlb_ram>(bytes{2 * MiB}))
        MESSAGE("this machine has no free 2 MiB huge page: only the refusal was tested");
}

TEST_CASE("hugetlb_ram: refuses what is no multiple of its page") {
    CHECK(hugetlb_ram::make(bytes{2 * MiB + 4096}).error() ==
          error{errc::invalid_argument, 0, 2 * MiB + 4096, "hugetlb_ram.size"});
}

TEST_CASE_TEMPLATE("mmap_memory: conforms below and above the hole", Backing, anonymous_ram, memfd_ram) {
    std::array const nodes{bytes{2 * MiB}, bytes{0}, bytes{4 * MiB}};
    auto const memory = mmap_memory::make<Backing>(lay_out_ram(nodes, hole).value());
    REQUIRE(memory);
    CHECK(memory->size() == bytes{6 * MiB});
    REQUIRE(memory->regions().size() == 3);
    guest_memory_suite(*memory, gpa{0}, 3 * MiB); // two nodes that touch
    guest_memory_suite(*memory, gpa{4 * MiB}, 3 * MiB);
}

TEST_CASE("mmap_memory: a slice crosses from node to node but not over the hole") {
    std::array const nodes{bytes{1 * MiB}, bytes{1 * MiB}, bytes{1 * MiB}, bytes{1 * MiB}};
    auto memory = mmap_memory::make(lay_out_ram(nodes, hole).value()).value();
    CHECK(store_guest(memory, gpa{1 * MiB - 4}, std::uint64_t{0x0102030405060708}));
    CHECK(load_guest<std::uint32_t>(memory, gpa{1 * MiB}).value() == 0x01020304);
    CHECK(memory.slice(gpa{1 * MiB - 1}, 2 * MiB + 1)); // from node 0 to the end of node 2
    CHECK_FALSE(memory.slice(gpa{3 * MiB - 1}, 2));
    CHECK_FALSE(memory.slice(gpa{3 * MiB}, 1)); // the hole
    CHECK(memory.slice(gpa{4 * MiB}, 1 * MiB));
    auto const before = memory.slice(gpa{0}, 1)->data();
    auto const moved = std::move(memory);
    CHECK(moved.slice(gpa{0}, 1)->data() == before); // slices stay valid across moves
}

TEST_CASE("mmap_memory: refuses region lists that lay_out_ram would not give") {
    auto const make = [](std::vector<ram_region> list) { return mmap_memory::make(std::move(list)); };
    CHECK(make({}).error().where == "mmap_memory.size");
    CHECK(make({{{gpa{0}, bytes{0}}, 0, bytes{0}}}).error().code == errc::invalid_argument);
    CHECK(make({{{gpa{0}, bytes{4096}}, 0, bytes{4096}}}).error().code == errc::invalid_argument); // gap in the backing
    CHECK(make({{{gpa{8192}, bytes{4096}}, 0, bytes{0}}, {{gpa{0}, bytes{4096}}, 0, bytes{4096}}}).error().value == 0);
    CHECK(make({{{gpa{0}, bytes{8192}}, 0, bytes{0}}, {{gpa{4096}, bytes{4096}}, 0, bytes{8192}}}).error().value == 4096);
    CHECK(make({{{gpa{~std::uint64_t{4095}}, bytes{8192}}, 0, bytes{0}}}).error().where == "mmap_memory.regions");
}
