// SPDX-License-Identifier: Apache-2.0
#include "ktstr/introspect/per_cpu.hpp"

#include "ktstr/introspect/symbols/table.hpp"
#include "suites/fake_page_tables.hpp"

#include <doctest/doctest.h>

using namespace ktstr;

namespace {
constexpr std::uint64_t offsets = 0xffffffff82000100;

/// A kernel whose per-CPU template starts at `start`.
symbol_table kernel(std::uint64_t start, bool absolute) {
    symbol_table_builder builder;
    builder.add("__per_cpu_start", gva{start}, 'D', absolute);
    builder.add("runqueues", gva{start + 0x2340}, 'D', absolute);
    builder.add("__per_cpu_end", gva{start + 0x8000}, 'D', absolute);
    builder.add("_text", gva{0xffffffff81000000}, 'T');
    builder.add("__per_cpu_offset", gva{offsets}, 'D');
    return *std::move(builder).finish();
}
} // namespace

TEST_CASE("per_cpu_address: copies of each CPU, for offsets and for a template in the image") {
    constexpr std::uint64_t first = 0xffff88800fc00000;
    for (std::uint64_t const start : {std::uint64_t{0}, std::uint64_t{0xffffffff83000000}}) {
        auto const symbols = kernel(start, start == 0);
        test::fake_page_tables guest;
        guest.map(gva{0xffffffff82000000}, gpa{0x20000});
        REQUIRE(store_guest(guest.memory(), gpa{0x20100}, le64(first - start)));
        REQUIRE(store_guest(guest.memory(), gpa{0x20108}, le64(first + 0x40000 - start)));
        auto const rq = *symbols.find("runqueues");
        auto const at = [&](std::uint32_t cpu) { return per_cpu_address(symbols, guest.memory(), guest.tables(), rq, cpu); };
        CHECK(at(0) == gva{first + 0x2340});
        CHECK(at(1) == gva{first + 0x40000 + 0x2340});
        CHECK(at(2).error().code == errc::busy);
        CHECK(at(1000).error().where == "paging.not_present");
        CHECK(at(8192).error().code == errc::out_of_range);
        CHECK(per_cpu_address(null_symbols{}, guest.memory(), guest.tables(), rq, 0).error().code == errc::not_found);
        CHECK(is_per_cpu(symbols, rq));
        CHECK(is_per_cpu(symbols, *symbols.find("__per_cpu_start")));
        CHECK_FALSE(is_per_cpu(symbols, *symbols.find("__per_cpu_end")));
        CHECK_FALSE(is_per_cpu(symbols, *symbols.find("_text")));
        CHECK_FALSE(is_per_cpu(null_symbols{}, rq));
    }
}
