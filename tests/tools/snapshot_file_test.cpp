// SPDX-License-Identifier: Apache-2.0
#include "ktstr-run/snapshot_show.hpp"

#include "ktstr/snapshot/elf_core.hpp"
#include "ktstr/snapshot/file_sink.hpp"
#include "ktstr/snapshot/put_ram.hpp"
#include "snapshot/sample_machine.hpp"
#include "suites/fake_kallsyms.hpp"
#include "suites/temp_folder.hpp"

#include <doctest/doctest.h>

using namespace ktstr;
using namespace ktstr::tool;

namespace {

template <class Sink>
void take(std::string const& path, test::sample_machine const& machine, snapshot_header const& header) {
    Sink sink(path);
    REQUIRE(sink.begin(header));
    REQUIRE(put_ram(sink, machine.memory));
    REQUIRE(sink.commit());
}

bool has(std::string const& text, std::string_view piece) { return text.find(piece) != std::string::npos; }

} // namespace

TEST_CASE("snapshot show: the function a vCPU was in, from the symbols in the guest's memory") {
    temp_folder folder;
    test::sample_machine machine;
    auto const symbols = test::fake_symbols(600, test::sample_text);
    test::fake_kallsyms tables{.encoding = kallsyms_encoding::from_itself};
    tables.address = test::sample_text + 0x100000;
    auto const raw = tables.build(symbols);
    REQUIRE(write_guest(machine.memory, gpa{8 * MiB + 0x100000}, raw));
    machine.cpus[1].registers[16].value = symbols[4].address + 0x12; // rip
    for (bool const core : {true, false}) {
        auto const path = folder.at(core ? "core" : "own");
        if (core)
            take<elf_core_sink>(path, machine, machine.header());
        else
            take<basic_file_sink<zstd_chunks>>(path, machine, machine.header());
        auto file = snapshot_file::open(path);
        REQUIRE(file);
        auto const text = snapshot_text(*file);
        CAPTURE(text);
        CHECK(has(text, "vCPU 1 (hardware id 2, parked) in " + symbols[4].name + "+0x12"));
        CHECK(has(snapshot_json(*file), "\"in\": \"" + symbols[4].name + "+0x12\""));
    }
    auto header = machine.header();
    header.kernel = {};
    take<file_sink>(folder.at("unknown"), machine, header);
    auto file = snapshot_file::open(folder.at("unknown"));
    REQUIRE(file);
    CHECK_FALSE(file->symbols());
    header.kernel = machine.header().kernel;
    header.kernel.text_physical = 1 * GiB; // no RAM: a hostile file may say so
    take<file_sink>(folder.at("wrong"), machine, header);
    CHECK_FALSE(snapshot_file::open(folder.at("wrong"))->symbols());
}

TEST_CASE("snapshot diff: pages in neighbouring and separate ranges, registers, FPU, memory maps") {
    temp_folder folder;
    test::sample_machine machine;
    take<elf_core_sink>(folder.at("a"), machine, machine.header());
    machine.write(0x5000, "new");
    machine.write(0x6fff, "xy"); // two pages
    machine.write(4 * GiB + 3 * MiB + 5, "HIGH");
    machine.write(0x1000, std::string_view("\0\0\0\0\0\0\0\0\0\0", 10)); // a page that becomes zero
    machine.cpus[0].registers[0].value = 5;
    machine.cpus[1].fpu[3] = std::byte{1};
    take<file_sink>(folder.at("b"), machine, machine.header(8));
    auto a = snapshot_file::open(folder.at("a"));
    auto b = snapshot_file::open(folder.at("b"));
    REQUIRE(a);
    REQUIRE(b);
    auto const changes = compare_snapshots(*a, *b);
    REQUIRE(changes);
    CHECK(changes->page_count == 5);
    CHECK(changes->pages == std::vector<gpa_range>{{gpa{0x1000}, bytes{0x1000}}, {gpa{0x5000}, bytes{0x3000}},
                                                   {gpa{4 * GiB + 3 * MiB}, bytes{0x1000}}});
    REQUIRE(changes->registers.size() == 1);
    CHECK(changes->registers[0].name == "rax");
    CHECK(changes->fpu == std::vector<std::uint32_t>{1});
    auto const text = diff_text(*a, *b, *changes);
    CHECK(has(text, "memory: 5 pages (20K) in 3 ranges changed"));
    auto const back = compare_snapshots(*b, *a);
    REQUIRE(back);
    CHECK(back->pages == changes->pages);
    auto const same = compare_snapshots(*a, *a);
    REQUIRE(same);
    CHECK(same->none());
    // RAM of one only is not compared, and said.
    auto header = machine.header();
    header.ram = header.ram.first(1);
    elf_core_sink half(folder.at("c"));
    REQUIRE(half.begin(header));
    REQUIRE(half.commit());
    auto c = snapshot_file::open(folder.at("c"));
    REQUIRE(c);
    auto const less = compare_snapshots(*b, *c);
    REQUIRE(less);
    CHECK_FALSE(less->same_ram);
    CHECK(less->pages.back().end().raw <= 16 * MiB);
}

TEST_CASE("snapshot files: stored pages are counted alike in both formats") {
    temp_folder folder;
    test::sample_machine machine;
    take<elf_core_sink>(folder.at("a"), machine, machine.header());
    take<file_sink>(folder.at("b"), machine, machine.header());
    CHECK(snapshot_file::open(folder.at("a"))->stored_pages() == 5);
    CHECK(snapshot_file::open(folder.at("b"))->stored_pages() == 5);
}
