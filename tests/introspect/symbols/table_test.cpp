// SPDX-License-Identifier: Apache-2.0
#include "ktstr/introspect/symbols/table.hpp"

#include "suites/symbol_source_suite.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace ktstr;

namespace {
symbol_table made(symbol_table_builder builder) {
    auto out = std::move(builder).finish();
    REQUIRE(out);
    return *std::move(out);
}
} // namespace

TEST_CASE("symbol_table: an empty one") {
    symbol_source_suite(made({}));
    CHECK(made({}).size() == 0);
}

TEST_CASE("symbol_table: any order in, order of addresses out, aliases as they came") {
    symbol_table_builder builder;
    builder.add("last", gva{0xffffffff81003000}, 'T');
    builder.add("weak_alias", gva{0xffffffff81001000}, 'W');
    builder.add("first", gva{0xffffffff81000000}, 't');
    builder.add("other_alias", gva{0xffffffff81001000}, 'T');
    auto const table = made(std::move(builder));
    symbol_source_suite(table);
    CHECK(table.at(0).name == "first");
    CHECK(table.at(0).type == 't');
    CHECK(table.at(3).name == "last");
    CHECK(table.nearest(gva{0xffffffff81001008})->symbol.name == "weak_alias");
    CHECK(table.nearest(gva{0xffffffff81001008})->offset == 8);
}

TEST_CASE("symbol_table: many aliases keep their order when others have to be sorted") {
    symbol_table_builder builder;
    for (std::uint64_t i = 0; i < 200; ++i)
        builder.add(std::to_string(i), gva{0x9000 - i / 50 * 0x1000}, 'T');
    auto const table = made(std::move(builder));
    symbol_source_suite(table);
    for (std::size_t i = 0; i < 200; ++i)
        REQUIRE(table.at(i).name == std::to_string((3 - i / 50) * 50 + i % 50));
}

TEST_CASE("symbol_table: of several with one name the lowest is found, wherever it was added") {
    symbol_table_builder builder;
    builder.add("init", gva{0x3000}, 't');
    builder.add("init", gva{0x1000}, 't');
    builder.add("init", gva{0x2000}, 't');
    auto const table = made(std::move(builder));
    CHECK(table.find("init")->address == gva{0x1000});
    CHECK(count_named(table, "init") == 3);
}

TEST_CASE("symbol_table: nothing lies in the gap between per-CPU offsets and the image, nor behind the last page") {
    symbol_table_builder builder;
    builder.add("per_cpu_start", gva{0}, 'D', true);
    builder.add("per_cpu_end", gva{0x2f10}, 'D', true);
    builder.add("_text", gva{0xffffffff81000000}, 'T');
    builder.add("_end", gva{0xffffffff81400800}, 'B');
    auto const table = made(std::move(builder));
    symbol_source_suite(table);
    CHECK(table.nearest(gva{0x2fff})->symbol.name == "per_cpu_end");
    CHECK_FALSE(table.nearest(gva{0x3000}));
    CHECK_FALSE(table.nearest(gva{0xffffffff80ffffff}));
    CHECK(table.nearest(gva{0xffffffff81400fff})->offset == 0x7ff);
    CHECK_FALSE(table.nearest(gva{0xffffffff81401000}));
}

TEST_CASE("symbol_table: names that share beginnings, lengths around a word, and many of them") {
    symbol_table_builder builder;
    for (std::uint64_t i = 0; i < 5000; ++i)
        builder.add(std::string(i % 19, 'a') + std::to_string(i), gva{0x1000 + 8 * i}, 'T');
    symbol_source_suite(made(std::move(builder)));
}

TEST_CASE("symbol_table: a name that is too long is an error, not a shorter name") {
    symbol_table_builder builder;
    builder.add(std::string(symbol_table_builder::max_name, 'x'), gva{1}, 'T');
    builder.add(std::string(symbol_table_builder::max_name + 1, 'x'), gva{2}, 'T');
    auto const out = std::move(builder).finish();
    REQUIRE_FALSE(out);
    CHECK(out.error().code == errc::no_space);
}
