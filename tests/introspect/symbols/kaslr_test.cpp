// SPDX-License-Identifier: Apache-2.0
#include "ktstr/introspect/symbols/kaslr.hpp"

#include "ktstr/introspect/symbols/table.hpp"
#include "suites/symbol_source_suite.hpp"

#include <doctest/doctest.h>

using namespace ktstr;

namespace {
symbol_table kernel() {
    symbol_table_builder builder;
    builder.add("__per_cpu_start", gva{0}, 'D', true);
    builder.add("current_task", gva{0x1f00}, 'D', true);
    builder.add("_text", gva{0xffffffff81000000}, 'T');
    builder.add("entry_SYSCALL_64", gva{0xffffffff81c00080}, 'T');
    builder.add("_end", gva{0xffffffff83000000}, 'B');
    return *std::move(builder).finish();
}
} // namespace

TEST_CASE("slide_from_lstar: what a kernel can have been moved by") {
    auto const linked = kernel();
    constexpr std::uint64_t entry = 0xffffffff81c00080;
    CHECK(slide_from_lstar(linked, entry) == 0U);
    CHECK(slide_from_lstar(linked, entry + 0x2a00000) == 0x2a00000U);
    CHECK(slide_from_lstar(linked, entry + kaslr_slide_limit - kaslr_slide_alignment) == kaslr_slide_limit - kaslr_slide_alignment);
}

TEST_CASE("slide_from_lstar: registers and kernels that do not belong together") {
    auto const linked = kernel();
    constexpr std::uint64_t entry = 0xffffffff81c00080;
    auto const error_of = [&](std::uint64_t lstar) {
        auto const out = slide_from_lstar(linked, lstar);
        REQUIRE_FALSE(out);
        return out.error();
    };
    CHECK(error_of(0).code == errc::busy);
    CHECK(error_of(entry - 0x200000).code == errc::out_of_range);
    CHECK(error_of(entry + kaslr_slide_limit).code == errc::out_of_range);
    CHECK(error_of(0x400000).code == errc::out_of_range);
    CHECK(error_of(entry + 0x200040).code == errc::bad_format);
    CHECK(error_of(entry + 0x200040).value == 0x200040);
    CHECK(slide_from_lstar(null_symbols{}, entry).error().code == errc::not_found);
    // A per-CPU offset says nothing about the slide.
    CHECK(slide_from_symbol(linked, "current_task", gva{0x1f00}).error().code == errc::not_found);
    CHECK(slide_from_symbol(linked, "_text", gva{0xffffffff81200000}) == 0x200000U);
}

TEST_CASE("slid_symbols: the image moves, per-CPU offsets stay") {
    symbol_source_suite(slid_symbols(null_symbols{}, 0x200000));
    symbol_source_suite(slid_symbols(kernel()));
    slid_symbols const moved(kernel(), 0x1e00000);
    symbol_source_suite(moved);
    CHECK(moved.slide() == 0x1e00000);
    CHECK(moved.find("_text")->address == gva{0xffffffff82e00000});
    CHECK(moved.find("current_task")->address == gva{0x1f00});
    CHECK(moved.nearest(gva{0xffffffff82e00010})->symbol.name == "_text");
    CHECK(moved.nearest(gva{0xffffffff82e00010})->offset == 0x10);
    CHECK(moved.nearest(gva{0x1f08})->symbol.name == "current_task");
    CHECK(moved.nearest(gva{0x1e01f00}) == std::nullopt);
    CHECK_FALSE(moved.nearest(gva{0xffffffff81000000}));
    CHECK(moved.linked().find("_text")->address == gva{0xffffffff81000000});
}
