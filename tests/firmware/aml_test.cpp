// SPDX-License-Identifier: Apache-2.0
#include "ktstr/firmware/acpi/aml.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace ktstr;

namespace {
std::string hex(aml::term const& raw) {
    std::string out;
    for (auto const each : raw) {
        out += "0123456789abcdef"[std::to_integer<unsigned>(each) >> 4];
        out += "0123456789abcdef"[std::to_integer<unsigned>(each) & 0xf];
    }
    return out;
}
} // namespace

TEST_CASE("aml: integers take their shortest form") {
    CHECK(hex(aml::integer(0)) == "00");
    CHECK(hex(aml::integer(1)) == "01");
    CHECK(hex(aml::integer(2)) == "0a02");
    CHECK(hex(aml::integer(0xff)) == "0aff");
    CHECK(hex(aml::integer(0x100)) == "0b0001");
    CHECK(hex(aml::integer(0x10000)) == "0c00000100");
    CHECK(hex(aml::integer(0x100000000)) == "0e0000000001000000");
}

TEST_CASE("aml: names, strings and ids") {
    CHECK(hex(aml::name("_HID")) == "5f484944");
    CHECK(hex(aml::name("\\_SB")) == "5c5f53425f");
    CHECK(hex(aml::string("AB")) == "0d414200");
    CHECK(hex(aml::eisa_id("PNP0501")) == "0c41d00501");
    CHECK(hex(aml::eisa_id("PNP0303")) == "0c41d00303");
    CHECK(hex(aml::eisa_id("PNP0A0C")) == "0c41d00a0c");
}

TEST_CASE("aml: package lengths count themselves, at every boundary") {
    CHECK(hex(aml::detail::package_length(0)) == "01");
    CHECK(hex(aml::detail::package_length(62)) == "3f");
    CHECK(hex(aml::detail::package_length(63)) == "4104");     // 65 bytes in all
    CHECK(hex(aml::detail::package_length(4093)) == "4fff");   // 4095
    CHECK(hex(aml::detail::package_length(4094)) == "810001"); // 4097
    CHECK(hex(aml::detail::package_length(1048572)) == "8fffff");
    CHECK(hex(aml::detail::package_length(1048573)) == "c1000001");
}

TEST_CASE("aml: terms") {
    CHECK(hex(aml::named("ABC", aml::integer(7))) == "084142435f0a07");
    CHECK(hex(aml::package({aml::integer(5), aml::integer(0)})) == "1205020a0500");
    CHECK(hex(aml::scope("\\_SB", {})) == "10065c5f53425f");
    CHECK(hex(aml::device("CM00", aml::named("_UID", aml::integer(1)))) == "5b820b434d3030085f55494401");
}

TEST_CASE("aml: resource templates") {
    CHECK(hex(aml::io_ports(0x3f8, 8)) == "4701f803f8030108");
    CHECK(hex(aml::memory32(0xc0001000, 0x1000)) == "86090001001000c000100000");
    CHECK(hex(aml::edge_interrupt(16)) == "890600030110000000");
    CHECK(hex(aml::bus_numbers(0, 0)) == "880d00020c0000000000000000000100");
    CHECK(hex(aml::bridge_memory(0xd0000000, 0x10000000)) ==
          "871700000c0100000000000000d0ffffffdf0000000000000010");
    CHECK(hex(aml::resources({aml::io_ports(0x60, 1)})) == "110d0a0a47016000600001017900");
}
