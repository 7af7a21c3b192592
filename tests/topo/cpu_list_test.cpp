// SPDX-License-Identifier: Apache-2.0
#include "ktstr/topo/cpu_list.hpp"

#include <doctest/doctest.h>

using namespace ktstr;

static_assert(parse_cpu_list("0-3,8\n").value().count() == 5);

TEST_CASE("parse_cpu_list: reads what to_text writes") {
    for (auto const* text : {"", "0", "0-3", "0-3,8", "1,3,5", "0-1023", "63-64,127,1023", "0,2-3"})
        CHECK(to_text(parse_cpu_list(text).value()) == text);
    CHECK(to_text(parse_cpu_list("2,1,0").value()) == "0-2");
    CHECK(to_text(parse_cpu_list("0-1,1-2\n").value()) == "0-2");
}

TEST_CASE("parse_cpu_list: what is no list is named by its offset") {
    auto const bad = [](char const* text) { return parse_cpu_list(text).error(); };
    CHECK(bad(",") == error{errc::bad_format, 0, 0, "cpu_list.text"});
    CHECK(bad("0-") == error{errc::bad_format, 0, 2, "cpu_list.text"});
    CHECK(bad("3-1") == error{errc::bad_format, 0, 0, "cpu_list.text"});
    CHECK(bad("0,") == error{errc::bad_format, 0, 1, "cpu_list.text"});
    CHECK(bad("0 1") == error{errc::bad_format, 0, 1, "cpu_list.text"});
    CHECK(bad("0\n\n") == error{errc::bad_format, 0, 1, "cpu_list.text"});
    CHECK(bad("0,1024") == error{errc::out_of_range, 0, 2, "cpu_list.text"});
    CHECK(bad("99999999999999999999").code == errc::out_of_range);
}

TEST_CASE("cpu_list: set questions") {
    auto const low = cpu_list::range(0, 3);
    auto const more = parse_cpu_list("0-3,70").value();
    CHECK(low.inside(more));
    CHECK(!more.inside(low));
    CHECK(low.first_difference(more) == 70U);
    CHECK(!low.first_difference(low));
    CHECK(more.next(4) == 70U);
    CHECK(!more.next(71));
    CHECK(!more.has(5000));
    CHECK(cpu_list().empty());
    CHECK(cpu_list::range(1000, 5000).count() == 24);
}
