// SPDX-License-Identifier: Apache-2.0
#include "ktstr/introspect/symbols/system_map.hpp"

#include "suites/symbol_source_suite.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace ktstr;

TEST_CASE("read_system_map: a System.map, with per-CPU offsets and without a last newline") {
    auto const table = read_system_map("0000000000000000 D __per_cpu_start\n"
                                       "0000000000002000 d cpu_info\r\n"
                                       "\n"
                                       "ffffffff81000000 T _text\n"
                                       "ffffffff81000040 t local.cold\n"
                                       "ffffffff82c00000 B _end");
    REQUIRE(table);
    symbol_source_suite(*table);
    CHECK(table->size() == 5);
    CHECK(table->find("_text")->address == gva{0xffffffff81000000});
    CHECK(table->find("local.cold")->type == 't');
    CHECK(table->find("cpu_info")->absolute);
    CHECK_FALSE(table->find("_end")->absolute);
}

TEST_CASE("read_system_map: a saved /proc/kallsyms keeps what is in the image") {
    auto const table = read_system_map("ffffffff81000000 T _text\nffffffffc0a01000 t init\t[virtio_mmio]\n"
                                       "ffffffffc0a02000 t bpf_prog_1\t[bpf]\n");
    REQUIRE(table);
    CHECK(table->size() == 1);
    CHECK_FALSE(table->find("init"));
}

TEST_CASE("read_system_map: what is no map says which line") {
    auto const line_of = [](std::string const& text) {
        auto const out = read_system_map(text);
        REQUIRE_FALSE(out);
        CHECK(out.error().code == errc::bad_format);
        CHECK(out.error().where == "system_map.line");
        return out.error().value;
    };
    std::string const good = "ffffffff81000000 T _text\n";
    CHECK(line_of("hello\n") == 1);
    CHECK(line_of(good + "ffffffff81000000\n") == 2);
    CHECK(line_of(good + "ffffffff81000000 T\n") == 2);
    CHECK(line_of(good + "ffffffff81000000 T \n") == 2);
    CHECK(line_of(good + "ffffffff81000000 TT _x\n") == 2);
    CHECK(line_of(good + "ffffffff81000000  T _x\n") == 2);
    CHECK(line_of(good + "ffffffff81000000 T  _x\n") == 2);
    CHECK(line_of(good + "ffffffff81000000 T _x y\n") == 2);
    CHECK(line_of(good + "1ffffffff81000000 T _x\n") == 2);
    CHECK(line_of(good + "-1 T _x\n") == 2);
    CHECK(line_of(good + good + "ffffffff81000000 \x01 _x\n") == 3);
    CHECK(read_system_map("").error().code == errc::not_found);
    CHECK(read_system_map("ffffffffc0a01000 t init\t[virtio_mmio]\n").error().code == errc::not_found);
    CHECK(read_system_map("0000000000000000 T _text\n0000000000000000 T _stext\n").error().code == errc::permission);
}
