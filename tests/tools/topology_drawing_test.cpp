// SPDX-License-Identifier: Apache-2.0
#include "ktstr-run/topology_drawing.hpp"

#include "ktstr/topo/presets.hpp"

#include <algorithm>
#include <doctest/doctest.h>

using namespace ktstr;
using namespace ktstr::tool;

namespace {
/// Columns of the widest line; every character above ASCII is one column of three bytes here.
std::size_t columns(std::string const& text) {
    std::size_t widest = 0;
    std::size_t now = 0;
    for (auto const c : text) {
        if (c == '\n')
            now = 0;
        else if ((static_cast<unsigned char>(c) & 0xc0) != 0x80)
            widest = std::max(widest, ++now);
    }
    return widest;
}
} // namespace

TEST_CASE("draw_topology: two nodes side by side, with their distances") {
    CHECK(draw_topology("", {2, 4, 2, 2}, {}, {80, true, false}) ==
          "2n4l2c2t  16 CPUs: 2 nodes, 4 LLCs with 2 cores of 2 threads each\n"
          "┌ node 0 ─────────────────┐ ┌ node 1 ─────────────────┐\n"
          "│ ┌ LLC 0 ──┐ ┌ LLC 1 ──┐ │ │ ┌ LLC 2 ──┐ ┌ LLC 3 ──┐ │\n"
          "│ │ [ 0  1] │ │ [ 4  5] │ │ │ │ [ 8  9] │ │ [12 13] │ │\n"
          "│ │ [ 2  3] │ │ [ 6  7] │ │ │ │ [10 11] │ │ [14 15] │ │\n"
          "│ └─────────┘ └─────────┘ │ │ └─────────┘ └─────────┘ │\n"
          "└─────────────────────────┘ └─────────────────────────┘\n"
          "[..] is a core with its CPUs\n"
          "distance     0    1\n"
          "       0    10   20\n"
          "       1    20   10\n");
}

TEST_CASE("draw_topology: ASCII, memory sizes, and a node without CPUs") {
    auto const* cxl = find_preset("cxl-2llc");
    CHECK(draw_topology("cxl-2llc", cxl->shape, layout_of(*cxl).value(), {80, false, false}) ==
          "cxl-2llc  1n2l2c1t  4 CPUs: 2 nodes, 2 LLCs with 2 cores of 1 thread each\n"
          "+ node 0, 512M -----------+ + node 1, 256M, no CPUs +\n"
          "| + LLC 0 --+ + LLC 1 --+ | +-----------------------+\n"
          "| | [0] [1] | | [2] [3] | |\n"
          "| +---------+ +---------+ |\n"
          "+-------------------------+\n"
          "[..] is a core with its CPUs\n"
          "distance     0    1\n"
          "       0    10   24\n"
          "       1    24   10\n");
}

TEST_CASE("draw_topology: keeps to the terminal's width") {
    CHECK(draw_topology("", {1, 2, 2, 1}, {}, {20, false, false}) ==
          "1n2l2c1t  4 CPUs: 1 node, 2 LLCs with 2 cores of 1 thread each\n"
          "+ node 0 -----+\n"
          "| + LLC 0 --+ |\n"
          "| | [0] [1] | |\n"
          "| +---------+ |\n"
          "| + LLC 1 --+ |\n"
          "| | [2] [3] | |\n"
          "| +---------+ |\n"
          "+-------------+\n"
          "[..] is a core with its CPUs\n");
    for (auto const& each : presets())
        for (unsigned const width : {60U, 80U, 120U, 200U}) {
            CAPTURE(each.name);
            CAPTURE(width);
            auto drawn = draw_topology(each.name, each.shape, layout_of(each).value(), {width, true, false});
            drawn.erase(0, drawn.find('\n') + 1); // the headline is text
            CHECK(columns(drawn) <= width);
        }
}

TEST_CASE("draw_topology: every CPU is drawn once") {
    auto const drawn = draw_topology("", {1, 14, 9, 2}, {}, {80, true, false});
    for (unsigned cpu = 0; cpu < 252; ++cpu) {
        std::size_t found = 0;
        auto const number = std::to_string(cpu);
        auto const padded = std::string(3 - number.size(), ' ') + number;
        for (auto const& shape : {"[" + padded + " ", " " + padded + "]"})
            for (auto at = drawn.find(shape); at != std::string::npos; at = drawn.find(shape, at + 1))
                ++found;
        CAPTURE(cpu);
        CHECK(found == 1);
    }
}

TEST_CASE("draw_topology: colour only where it is wanted") {
    CHECK(draw_topology("", {}, {}, {80, true, false}).find('\033') == std::string::npos);
    CHECK(draw_topology("", {}, {}, {80, true, true}).find("\033[1m") != std::string::npos);
}

TEST_CASE("locale_is_utf8: the first variable that says something decides") {
    CHECK(locale_is_utf8(nullptr, nullptr, "en_GB.UTF-8"));
    CHECK(locale_is_utf8("", "C.utf8", nullptr));
    CHECK(!locale_is_utf8("C", "C.UTF-8", "C.UTF-8"));
    CHECK(!locale_is_utf8(nullptr, nullptr, nullptr));
    CHECK(!locale_is_utf8(nullptr, nullptr, "en_US.ISO-8859-1"));
}
