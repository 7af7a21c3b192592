// SPDX-License-Identifier: Apache-2.0
// The judge is gdb: it opens our core without a program file and shows threads, registers and memory.
#include "ktstr/snapshot/elf_core.hpp"

#include "ktstr/snapshot/put_ram.hpp"
#include "snapshot/sample_machine.hpp"
#include "suites/temp_folder.hpp"

#include <cstdio>
#include <cstdlib>

using namespace ktstr;

namespace {

bool have_gdb() { return std::system("gdb --version >/dev/null 2>&1") == 0; }

/// What gdb prints about `core` for `commands`.
std::string gdb(std::string const& core, std::string const& commands) {
    auto const line = "timeout 60 gdb -nx -batch -iex 'set auto-load no' -iex 'set debuginfod enabled off' -c " + core + " " + commands + " 2>&1 </dev/null";
    auto* const pipe = ::popen(line.c_str(), "r");
    REQUIRE(pipe != nullptr);
    std::string out;
    char piece[4096];
    while (auto const n = std::fread(piece, 1, sizeof piece, pipe))
        out.append(piece, n);
    CHECK(::pclose(pipe) == 0);
    return out;
}

bool has(std::string const& text, std::string_view piece) { return text.find(piece) != std::string::npos; }

} // namespace

TEST_CASE("elf_core_sink: gdb shows threads, registers and memory" * doctest::skip(!have_gdb())) {
    temp_folder folder;
    test::sample_machine machine;
    elf_core_sink sink(folder.at("core"));
    REQUIRE(sink.begin(machine.header()));
    REQUIRE(put_ram(sink, machine.memory));
    REQUIRE(sink.commit());

    auto const text = gdb(folder.at("core"), "-ex 'info threads' -ex 'thread 2' -ex 'info registers' -ex 'p/x $gs_base' "
                                             "-ex 'x/s 0xffff888000001000' -ex 'x/s 0xffff888000002ffc' "
                                             "-ex 'x/s 0xffff888100300005' -ex 'x/s 0xffffffff92000040' -ex 'info proc' "
                                             "-ex 'x/gx 0xffff888000500000' -ex 'p $st0'");
    CAPTURE(text);
    CHECK(has(text, "LWP 1"));
    CHECK(has(text, "LWP 2"));
    CHECK(has(text, "0xffffffff92000041")); // rip of the second
    CHECK(has(text, "rax            0x1101"));
    CHECK(has(text, "r15            0x1110"));
    CHECK(has(text, "cs             0x10"));
    CHECK(has(text, "0xffff888001000001")); // gs base
    CHECK(has(text, "\"first page\""));
    CHECK(has(text, "\"over a page's end\""));
    CHECK(has(text, "\"high\""));
    CHECK(has(text, "\"kernel text\""));
    CHECK(has(text, "0xffff888000500000:\t0x0000000000000000"));
    CHECK_FALSE(has(text, "Cannot access memory"));
    CHECK_FALSE(has(text, "warning: Couldn't find"));
}

TEST_CASE("elf_core_sink: gdb opens a core whose kernel nobody found, too" * doctest::skip(!have_gdb())) {
    temp_folder folder;
    test::sample_machine machine;
    auto header = machine.header();
    header.kernel = {};
    elf_core_sink sink(folder.at("core"));
    REQUIRE(sink.begin(header));
    REQUIRE(sink.commit());
    auto const text = gdb(folder.at("core"), "-ex 'info threads' -ex 'p/x $rax'");
    CAPTURE(text);
    CHECK(has(text, "LWP 2"));
    CHECK(has(text, "$1 = 0x1001"));
}
