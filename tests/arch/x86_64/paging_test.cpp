// SPDX-License-Identifier: Apache-2.0
#include "ktstr/arch/x86_64/paging.hpp"

#include "ktstr/arch/x86_64/boot_state.hpp"
#include "suites/fake_page_tables.hpp"

#include <doctest/doctest.h>
#include <vector>

using namespace ktstr;
using test::fake_page_tables;

namespace {
error error_at(fake_page_tables& guest, gva at) {
    auto const out = translate(guest.memory(), guest.tables(), at);
    REQUIRE_FALSE(out);
    return out.error();
}
struct walked {
    result<> end;
    std::vector<x86_mapped_run> runs;
};
walked walk(fake_page_tables& guest, gva start, std::uint64_t size, std::uint64_t budget = 100'000, std::size_t enough = ~std::size_t{0}) {
    walked out;
    out.end = walk_range(guest.memory(), guest.tables(), start, size, [&](x86_mapped_run const& run) {
        out.runs.push_back(run);
        return out.runs.size() < enough;
    }, budget);
    return out;
}
constexpr std::uint64_t nx = x86::page_no_execute;
} // namespace

TEST_CASE("translate: pages of every size, both halves, 4 and 5 levels") {
    for (bool const la57 : {false, true}) {
        CAPTURE(la57);
        fake_page_tables guest(la57);
        guest.map(gva{0x400000}, gpa{0x7000});
        guest.map(gva{0xffffffff81000000}, gpa{0x1a00000}, 2 * MiB, 0);
        guest.map(gva{0xffff888000000000}, gpa{0x40000000}, 1 * GiB, x86::page_writable | nx);
        auto const tables = guest.tables();
        auto const memory = guest.memory();
        CHECK(translate(memory, tables, gva{0x400123}) == x86_translation{gpa{0x7123}, 4096, true, false, true});
        CHECK(translate(memory, tables, gva{0xffffffff811fffff}) == x86_translation{gpa{0x1bfffff}, 2 * MiB, false, false, true});
        CHECK(translate(memory, tables, gva{0xffff8880123456f8}) == x86_translation{gpa{0x523456f8}, 1 * GiB, true, false, false});
        CHECK(error_at(guest, gva{0x401000}).where == "paging.not_present");
        CHECK(error_at(guest, gva{0x401000}).value == 0x401000);
        CHECK(error_at(guest, gva{0xffffffff81200000}).code == errc::not_found);
        CHECK(error_at(guest, gva{0xffffc90000000000}).code == errc::not_found);
    }
}

TEST_CASE("translate: permissions are those of all levels together") {
    fake_page_tables guest;
    guest.map(gva{0x1000}, gpa{0x9000}, 4096, x86::page_writable | x86::page_user, x86::page_writable | x86::page_user);
    guest.map(gva{0x8000000000}, gpa{0x9000}, 4096, x86::page_writable | x86::page_user, x86::page_user);
    guest.map(gva{0x10000000000}, gpa{0x9000}, 4096, x86::page_user, x86::page_writable);
    guest.map(gva{0x18000000000}, gpa{0x9000}, 4096, x86::page_user, x86::page_user | nx);
    auto const at = [&](std::uint64_t a) { return *translate(guest.memory(), guest.tables(), gva{a}); };
    CHECK(at(0x1000) == x86_translation{gpa{0x9000}, 4096, true, true, true});
    CHECK(at(0x8000000000) == x86_translation{gpa{0x9000}, 4096, false, true, true});
    CHECK(at(0x10000000000) == x86_translation{gpa{0x9000}, 4096, false, false, true});
    CHECK(at(0x18000000000) == x86_translation{gpa{0x9000}, 4096, false, true, false});
}

TEST_CASE("translate: addresses no table maps, reserved bits, tables outside memory") {
    fake_page_tables guest;
    guest.map(gva{0x400000}, gpa{0x7000});
    CHECK(error_at(guest, gva{0x0000800000000000}).where == "paging.canonical");
    CHECK(error_at(guest, gva{0xffff7fffffffffff}).code == errc::invalid_argument);
    CHECK(error_at(guest, gva{0x00007fffffffffff}).code == errc::not_found);
    CHECK(error_at(guest, gva{0xffff800000000000}).code == errc::not_found);
    fake_page_tables five(true);
    CHECK(error_at(five, gva{0x0000800000000000}).code == errc::not_found);
    CHECK(error_at(five, gva{0x0100000000000000}).code == errc::invalid_argument);
    CHECK(error_at(five, gva{0xff00000000000000}).code == errc::not_found);

    guest.set(gva{0x400000}, 4, 0x3000 | x86::page_present | x86::page_large);
    CHECK(error_at(guest, gva{0x400000}).where == "paging.reserved");
    guest.set(gva{0x400000}, 4, x86::page_present | x86::page_large);
    CHECK(error_at(guest, gva{0x400000}).where == "paging.reserved");
    guest.set(gva{0x400000}, 4, 0x10000000 | x86::page_present);
    CHECK(error_at(guest, gva{0x400000}).code == errc::out_of_range);
    CHECK(error_at(guest, gva{0x400000}).value == 0x10000000);
    guest.set(gva{0x400000}, 4, 0x000ffffffffff000 | x86::page_present);
    CHECK(error_at(guest, gva{0x400000}).code == errc::out_of_range);
    CHECK(translate(guest.memory(), {gpa{0x000ffffffffff000}, false}, gva{0xffffffffffffffff}).error().code == errc::out_of_range);

    fake_page_tables large;
    large.map(gva{0x40000000}, gpa{0x200000}, 1 * GiB);
    CHECK(error_at(large, gva{0x40000000}).where == "paging.reserved");
    large.map(gva{0x80000000}, gpa{0x201000}, 2 * MiB); // bit 12 is the memory type
    CHECK(translate(large.memory(), large.tables(), gva{0x80000010})->address == gpa{0x200010});
    large.map(gva{0x80200000}, gpa{0x202000}, 2 * MiB);
    CHECK(error_at(large, gva{0x80200000}).where == "paging.reserved");
}

TEST_CASE("translate: the tables we boot with, and a table that is its own child") {
    std::vector<std::byte> ram(64 * 1024);
    buffer_memory const memory(ram);
    REQUIRE(write_boot_tables(memory));
    auto const state = x86_long_mode_entry(gpa{0x1000000}, gpa{0x7000});
    auto const tables = x86_page_tables::from_registers(state.cr3, state.cr4);
    CHECK(translate(memory, tables, gva{0xfee01234})->address == gpa{0xfee01234});
    CHECK(translate(memory, tables, gva{0x100000000}).error().code == errc::not_found);
    CHECK(x86_page_tables::from_registers(0x800000000001a01f, x86::cr4_la57) == x86_page_tables{gpa{0x1a000}, true});

    fake_page_tables loop;
    loop.set(gva{0}, 4, 0x1000 | x86::page_present);
    CHECK(translate(loop.memory(), loop.tables(), gva{0x123})->address == gpa{0x1123});
}

TEST_CASE("walk_range: neighbours are joined, holes are passed over, the edges are cut") {
    for (bool const la57 : {false, true}) {
        fake_page_tables guest(la57);
        guest.map(gva{0xffffffff81000000}, gpa{0x1a00000}, 2 * MiB, 0);
        guest.map(gva{0xffffffff81200000}, gpa{0x1c00000}, 2 * MiB, 0);
        guest.map(gva{0xffffffff81400000}, gpa{0x1e00000}, 4096, 0);
        guest.map(gva{0xffffffff81401000}, gpa{0x1e01000}, 4096, x86::page_writable); // another permission
        guest.map(gva{0xffffffff81402000}, gpa{0x9000}, 4096, x86::page_writable);    // another place
        guest.map(gva{0xffffffff81800000}, gpa{0xa000}, 4096, 0);                     // behind a hole
        guest.map(gva{0xfffffffffffff000}, gpa{0xb000}, 4096, 0);
        auto const all = walk(guest, gva{0xffff800000000000}, 0x800000000000);
        CHECK(all.end);
        REQUIRE(all.runs.size() == 5);
        CHECK(all.runs[0] == x86_mapped_run{gva{0xffffffff81000000}, gpa{0x1a00000}, 4 * MiB + 4096, false, false, true});
        CHECK(all.runs[1] == x86_mapped_run{gva{0xffffffff81401000}, gpa{0x1e01000}, 4096, true, false, true});
        CHECK(all.runs[2] == x86_mapped_run{gva{0xffffffff81402000}, gpa{0x9000}, 4096, true, false, true});
        CHECK(all.runs[3] == x86_mapped_run{gva{0xffffffff81800000}, gpa{0xa000}, 4096, false, false, true});
        CHECK(all.runs[4] == x86_mapped_run{gva{0xfffffffffffff000}, gpa{0xb000}, 4096, false, false, true});

        auto const part = walk(guest, gva{0xffffffff811ffff8}, 16);
        CHECK(part.end);
        REQUIRE(part.runs.size() == 1);
        CHECK(part.runs[0] == x86_mapped_run{gva{0xffffffff811ffff8}, gpa{0x1bffff8}, 16, false, false, true});
        CHECK(walk(guest, gva{0xffffffff81900000}, 0x100000).runs.empty());
        CHECK(walk(guest, gva{0xffffffff81000000}, 0).runs.empty());
        CHECK(walk(guest, gva{0xffff800000000000}, 0x800000000000, 100'000, 2).runs.size() == 2);
    }
}

TEST_CASE("walk_range: ranges that are none, loops, broken tables") {
    fake_page_tables guest;
    guest.map(gva{0x400000}, gpa{0x7000});
    CHECK(walk(guest, gva{0x7ffffffff000}, 0x2000).end.error().where == "paging.canonical");
    CHECK(walk(guest, gva{0}, ~std::uint64_t{0}).end.error().where == "paging.canonical");
    CHECK(walk(guest, gva{0xfffffffffffff000}, 0x1001).end.error().code == errc::invalid_argument);

    // What was mapped before the broken entry is shown, and the error is not lost.
    guest.map(gva{0x600000}, gpa{0x8000});
    guest.set(gva{0x600000}, 2, 0x80000000 | x86::page_present);
    auto const broken = walk(guest, gva{0}, 1 * GiB);
    CHECK(broken.end.error().code == errc::out_of_range);
    REQUIRE(broken.runs.size() == 1);
    CHECK(broken.runs[0].start == gva{0x400000});

    // A table whose every entry is itself maps 2^36 pages.
    fake_page_tables loop;
    for (std::uint64_t i = 0; i < 512; ++i)
        loop.set(gva{i << 39}, 4, 0x1000 | x86::page_present);
    auto const endless = walk(loop, gva{0}, 0x800000000000, 10'000);
    CHECK(endless.end.error().where == "paging.budget");
    CHECK(endless.runs.size() <= 10'000);
}
