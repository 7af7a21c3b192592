// SPDX-License-Identifier: Apache-2.0
#include "ktstr/agent/kernel_note.hpp"

#include <doctest/doctest.h>

using namespace ktstr;

TEST_CASE("parse_kernel_note: takes what the kernel prints, and nothing else") {
    auto const note = agent::parse_kernel_note("0x0000000105c4a000 1024\n");
    REQUIRE(note);
    CHECK(note->address == 0x105c4a000);
    CHECK(note->size == 0x1024);
    for (auto const* bad : {"", "\n", "0x1000", "0x1000 ", "0x1000 0\n", "0x1000 zz\n", "zz 1000\n", "0x1000 24x\n"})
        CHECK_FALSE(agent::parse_kernel_note(bad));
}
