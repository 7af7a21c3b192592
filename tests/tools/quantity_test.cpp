// SPDX-License-Identifier: Apache-2.0
#include "support/quantity.hpp"

#include <doctest/doctest.h>
#include <initializer_list>

using namespace ktstr::tool;
using ktstr::errc;
using ktstr::nanos;

TEST_CASE("quantity: sizes need a unit and stay below 2^63") {
    CHECK(parse_size("512M")->raw == 512 * ktstr::MiB);
    CHECK(parse_size("2G")->raw == 2 * ktstr::GiB);
    CHECK(parse_size("4KiB")->raw == 4096);
    CHECK(parse_size("4kB")->raw == 4096);
    CHECK(parse_size("1T")->raw == 1024 * ktstr::GiB);
    CHECK(parse_size("17B")->raw == 17);
    CHECK(parse_size("0M")->raw == 0);
    for (auto const* bad : {"", "M", "512", "-1M", "1.5G", "5X", "5MM", "5iB", " 5M", "5M "}) {
        CAPTURE(bad);
        CHECK(parse_size(bad).error().code == errc::bad_format);
    }
    CHECK(parse_size("9999999999T").error().code == errc::out_of_range);
    CHECK(parse_size("99999999999999999999999B").error().code == errc::out_of_range);
}

TEST_CASE("quantity: times need a unit") {
    CHECK(parse_time("2s")->raw == 2'000'000'000);
    CHECK(parse_time("250us")->raw == 250'000);
    CHECK(parse_time("17ns")->raw == 17);
    CHECK(parse_time("3ms")->raw == 3'000'000);
    CHECK(parse_time("10m")->raw == 600'000'000'000);
    CHECK(parse_time("10min")->raw == 600'000'000'000);
    CHECK(parse_time("1h")->raw == 3'600'000'000'000);
    for (auto const* bad : {"", "2", "s", "-2s", "2sec", "2 s", "0x2s"}) {
        CAPTURE(bad);
        CHECK(parse_time(bad).error().code == errc::bad_format);
    }
    CHECK(parse_time("9999999999h").error().code == errc::out_of_range);
}

TEST_CASE("quantity: sizes and times are written short") {
    CHECK(size_text(0) == "0B");
    CHECK(size_text(1023) == "1023B");
    CHECK(size_text(512 * ktstr::MiB) == "512M");
    CHECK(size_text(ktstr::GiB + ktstr::GiB / 2) == "1.5G");
    CHECK(time_text(nanos{0}) == "0ns");
    CHECK(time_text(nanos{17}) == "17ns");
    CHECK(time_text(nanos{250'000}) == "250us");
    CHECK(time_text(nanos{1'250'000'000}) == "1.25s");
    CHECK(time_text(nanos{2'000'000'000}) == "2s");
    CHECK(time_text(nanos{1'050'000'000}) == "1.05s");
    CHECK(time_text(nanos{-3'000'000}) == "-3ms");
    CHECK(time_text(nanos{123'456'789'000}) == "123s");
}
