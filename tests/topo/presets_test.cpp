// SPDX-License-Identifier: Apache-2.0
#include "ktstr/topo/presets.hpp"

#include <doctest/doctest.h>
#include <fstream>
#include <sstream>
#include <string>

using namespace ktstr;

static_assert([] {
    for (auto const& each : presets()) {
        auto const layout = layout_of(each);
        if (!validate(each.shape) || !layout || !validate(each.shape, *layout))
            return false;
    }
    return true;
}());

TEST_CASE("presets: unique names that no topology text can be mistaken for, with something to say") {
    for (auto const& each : presets()) {
        CAPTURE(each.name);
        CHECK(find_preset(each.name) == &each);
        CHECK(!parse_topology(each.name));
        CHECK(!each.about.empty());
    }
    CHECK(find_preset("tiny") == nullptr);
    CHECK(find_preset("") == nullptr);
}

TEST_CASE("presets: the reference shapes are there with their CPU counts") {
    struct row {
        char const* name;
        topology shape;
        std::uint32_t count;
    };
    for (auto const& [name, shape, count] : {row{"tiny-1llc", {1, 1, 4, 1}, 4}, row{"tiny-2llc", {1, 2, 2, 1}, 4},
             row{"odd-3llc", {1, 3, 3, 1}, 9}, row{"odd-5llc", {1, 5, 3, 1}, 15}, row{"odd-7llc", {1, 7, 2, 1}, 14},
             row{"smt-2llc", {1, 2, 2, 2}, 8}, row{"smt-3llc", {1, 3, 2, 2}, 12}, row{"medium-4llc", {1, 4, 4, 2}, 32},
             row{"medium-8llc", {1, 8, 4, 2}, 64}, row{"large-4llc", {1, 4, 16, 2}, 128}, row{"large-8llc", {1, 8, 8, 2}, 128},
             row{"near-max-llc", {1, 15, 8, 2}, 240}, row{"max-cpu", {1, 14, 9, 2}, 252},
             row{"medium-4llc-nosmt", {1, 4, 8, 1}, 32}, row{"medium-8llc-nosmt", {1, 8, 8, 1}, 64},
             row{"large-4llc-nosmt", {1, 4, 32, 1}, 128}, row{"large-8llc-nosmt", {1, 8, 16, 1}, 128},
             row{"near-max-llc-nosmt", {1, 15, 16, 1}, 240}, row{"max-cpu-nosmt", {1, 14, 18, 1}, 252},
             row{"numa2-4llc", {2, 4, 4, 1}, 16}, row{"numa2-8llc", {2, 8, 8, 2}, 128},
             row{"numa2-8llc-nosmt", {2, 8, 16, 1}, 128}, row{"numa4-8llc", {4, 8, 4, 1}, 32},
             row{"numa4-12llc", {4, 12, 8, 2}, 192}}) {
        CAPTURE(name);
        REQUIRE(find_preset(name) != nullptr);
        CHECK(find_preset(name)->shape == shape);
        CHECK(cpus(shape) == count);
    }
}

TEST_CASE("presets: docs/topology.md has each of them as it is, and no other") {
    std::ifstream file(KTSTR_SOURCE_ROOT "/docs/topology.md");
    std::stringstream whole;
    whole << file.rdbuf();
    auto const doc = whole.str().substr(std::min(whole.str().find("## Presets"), whole.str().size()));
    std::size_t rows = 0;
    for (std::size_t at = doc.find("\n| "); at != std::string::npos; at = doc.find("\n| ", at + 1))
        ++rows;
    CHECK(rows == presets().size() + 2); // headline and rule
    for (auto const& each : presets()) {
        CAPTURE(each.name);
        std::string row = "| " + std::string(each.name) + " | " + std::string(to_text(each.shape).view()) + " | " +
                          std::to_string(cpus(each.shape)) + " | " + std::string(each.about);
        if (!each.node_memory.empty())
            row += "; memory " + std::string(each.node_memory);
        if (!each.distances.empty())
            row += "; distances " + std::string(each.distances);
        CHECK(doc.find(row + " |\n") != std::string::npos);
    }
}
