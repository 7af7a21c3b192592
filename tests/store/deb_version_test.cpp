// SPDX-License-Identifier: Apache-2.0
#include "ktstr/store/deb_version.hpp"

#include <array>
#include <doctest/doctest.h>
#include <string_view>

using namespace ktstr;

TEST_CASE("deb_version: the order of policy 5.6.12") {
    // Each is older than the next.
    constexpr std::array<std::string_view, 17> ladder{
        "0",          "6.1.0~rc1-1",       "6.1.0-1",       "6.1.99-1",      "6.1.176-1", "6.12.9-1", "6.12.43-1~bpo12+1",
        "6.12.43-1",  "6.12.43-1+deb13u1", "6.12.43-2",     "6.12.90-1",     "7.3~rc5-1", "7.3-1~exp1",
        "7.3.4-1~bpo13+1", "7.3.4-1",      "7.3.10-1",      "1:0.1-1"};
    for (std::size_t i = 0; i < ladder.size(); ++i)
        for (std::size_t j = 0; j < ladder.size(); ++j) {
            CAPTURE(ladder[i]);
            CAPTURE(ladder[j]);
            CHECK(compare_deb_versions(ladder[i], ladder[j]) == (i <=> j));
        }
    static_assert(compare_deb_versions("1.0", "1.00") == 0);
    static_assert(compare_deb_versions("0:1.0", "1.0") == 0);
    static_assert(compare_deb_versions("1.0-0", "1.0") == 0);
    static_assert(compare_deb_versions("1.0~", "1.0") < 0);
    static_assert(compare_deb_versions("1.0a", "1.0+") < 0);
    static_assert(compare_deb_versions("", "~") > 0);
}

TEST_CASE("deb_version: the parts") {
    constexpr auto v = deb_version::split("2:7.3.4-rc-1~bpo13+1");
    CHECK(v.epoch == "2");
    CHECK(v.upstream == "7.3.4-rc");
    CHECK(v.revision == "1~bpo13+1");
    CHECK(deb_version::split("7.3").upstream == "7.3");
}
