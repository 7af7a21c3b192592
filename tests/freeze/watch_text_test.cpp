// SPDX-License-Identifier: Apache-2.0
#include "ktstr/freeze/watch_text.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace ktstr;

TEST_CASE("watch text: what it means") {
    struct row {
        std::string_view text;
        watch_text want;
    };
    for (auto const& r : {
             row{"jiffies_64", {"jiffies_64", 0, 4, {}}},
             row{"scx_root:8!=0", {"scx_root", 0, 8, {watch_op::not_equal, 0}}},
             row{"panic_cpu:4 == -1", {"panic_cpu", 0, 4, {watch_op::equal, 0xffffffff}}},
             row{"jiffies_64+4:2 & 0x8000 ", {"jiffies_64", 4, 2, {watch_op::bits, 0x8000}}},
             row{"x<5", {"x", 0, 4, {watch_op::less, 5}}},
             row{"x  >  0xFf", {"x", 0, 4, {watch_op::greater, 255}}},
             row{"x:1==-128", {"x", 0, 1, {watch_op::equal, 128}}},
             row{"x:8==18446744073709551615", {"x", 0, 8, {watch_op::equal, ~std::uint64_t{0}}}},
             row{"x:8==-9223372036854775808", {"x", 0, 8, {watch_op::equal, std::uint64_t{1} << 63}}},
             row{"x==-0", {"x", 0, 4, {watch_op::equal, 0}}},
             row{"__per_cpu.start$1+0x10", {"__per_cpu.start$1", 16, 4, {}}},
             row{"x ", {"x", 0, 4, {}}},
         }) {
        CAPTURE(r.text);
        auto const got = parse_watch(r.text);
        REQUIRE(got);
        CHECK(*got == r.want);
        auto const again = to_text(*got);
        CHECK(parse_watch(again) == r.want);
    }
    static_assert(parse_watch("a:2&3")->when.op == watch_op::bits);
}

TEST_CASE("watch text: errors say where and what") {
    struct row {
        std::string_view text;
        errc code;
        std::string_view where;
        std::uint64_t at;
    };
    for (auto const& r : {
             row{"", errc::bad_format, "watch.symbol", 0},
             row{":4", errc::bad_format, "watch.symbol", 0},
             row{"4x", errc::bad_format, "watch.symbol", 0},
             row{"0xffff", errc::bad_format, "watch.symbol", 0},
             row{"x:", errc::bad_format, "watch.size", 2},
             row{"x:3", errc::out_of_range, "watch.size", 2},
             row{"x:0x", errc::bad_format, "watch.size", 4},
             row{"x:16", errc::out_of_range, "watch.size", 2},
             row{"x+", errc::bad_format, "watch.offset", 2},
             row{"x+-1", errc::bad_format, "watch.offset", 2},
             row{"x=1", errc::bad_format, "watch.end", 1},
             row{"x<=1", errc::bad_format, "watch.value", 2},
             row{"x==", errc::bad_format, "watch.value", 3},
             row{"x==1y", errc::bad_format, "watch.end", 4},
             row{"x== 1 2", errc::bad_format, "watch.end", 6},
             row{"x:1==256", errc::out_of_range, "watch.value", 5},
             row{"x:1==-129", errc::out_of_range, "watch.value", 5},
             row{"x==4294967296", errc::out_of_range, "watch.value", 3},
             row{"x:8==18446744073709551616", errc::out_of_range, "watch.value", 24},
             row{"x y", errc::bad_format, "watch.end", 2},
             row{"x\ty", errc::bad_format, "watch.end", 1},
         }) {
        CAPTURE(r.text);
        auto const got = parse_watch(r.text);
        REQUIRE(!got);
        CHECK(got.error() == error{r.code, 0, r.at, r.where});
    }
    CHECK(parse_watch(std::string(511, 'a')));
    CHECK(parse_watch(std::string(512, 'a')).error().code == errc::out_of_range);
}

TEST_CASE("watch text: signs") {
    CHECK(sign_of(watch_op::bits) == "&");
    CHECK(sign_of(watch_op::any).empty());
    CHECK(sign_of(static_cast<watch_op>(77)) == "?");
}
