// SPDX-License-Identifier: Apache-2.0
#include "ktstr/probe/x86_64/stub.hpp"

#include <doctest/doctest.h>

using namespace ktstr;

namespace {
/// Where a two-byte jump at `at` goes.
template <std::size_t N>
std::ptrdiff_t target(std::array<std::uint8_t, N> const& code, std::size_t at) {
    return static_cast<std::ptrdiff_t>(at) + 2 + static_cast<std::int8_t>(code[at + 1]);
}
} // namespace

TEST_CASE("stubs: jumps go where their comments say") {
    CHECK(probe_stub::loop[6] == 0x75);
    CHECK(target(probe_stub::loop, 6) == 3);
    CHECK(probe_stub::loop[10] == 0xeb);
    CHECK(target(probe_stub::loop, 10) == 0);
    CHECK(probe_stub::exits[2] == 0xeb);
    CHECK(target(probe_stub::exits, 2) == 0);
}

TEST_CASE("stubs: code and data lie in RAM, beside the boot tables and each other") {
    auto const tables_end = x86_map::page_tables + 6 * 4096;
    CHECK(tables_end <= probe_stub::code);
    CHECK(probe_stub::code + probe_stub::xsave.size() <= probe_stub::data);
    CHECK(probe_stub::data + 16 <= probe_stub::xsave_area);
    CHECK(probe_stub::data.raw % 16 == 0); // CMPXCHG16B faults otherwise.
    CHECK(probe_stub::xsave_area.raw % 64 == 0); // XSAVE too.
    CHECK(probe_stub::xsave_area.raw + 4096 <= probe_stub::memory_size);
}

TEST_CASE("stubs: they start at their code in 64-bit mode with RDI at the argument") {
    constexpr auto state = probe_stub::start(probe_stub::data);
    CHECK(state.regs.rip == probe_stub::code.raw);
    CHECK(state.regs.rdi == probe_stub::data.raw);
    CHECK((state.efer & x86::efer_lma) != 0);
    CHECK(state.code.dpl == 0);
}
