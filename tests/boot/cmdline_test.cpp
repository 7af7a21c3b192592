// SPDX-License-Identifier: Apache-2.0
#include "ktstr/boot/cmdline.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace ktstr;

TEST_CASE("cmdline: words are joined by single blanks") {
    cmdline line;
    REQUIRE(line.append("console=hvc0"));
    REQUIRE(line.append("  quiet loglevel=4 "));
    REQUIRE(line.append(""));
    REQUIRE(line.append("   "));
    REQUIRE(line.append("ktstr.role", "agent"));
    REQUIRE(line.append("name", "two words"));
    CHECK(line.str() == "console=hvc0 quiet loglevel=4 ktstr.role=agent name=\"two words\"");
}

TEST_CASE("cmdline: what would break the line is refused and changes nothing") {
    cmdline line(30);
    REQUIRE(line.append("quiet"));
    CHECK(line.append("a\nb").error() == error{errc::invalid_argument, 0, 1, "cmdline.character"});
    CHECK(line.append(std::string_view("a\0b", 3)).error().where == "cmdline.character");
    CHECK(line.append("\x7f").error().where == "cmdline.character");
    CHECK(line.append("a=\"b c").error() == error{errc::invalid_argument, 0, 2, "cmdline.quote"});
    CHECK(line.append("a b", "c").error().where == "cmdline.key");
    CHECK(line.append("", "c").error().where == "cmdline.key");
    CHECK(line.append("a", "c\"d").error().where == "cmdline.value");
    CHECK(line.append(std::string(25, 'x')).error() == error{errc::no_space, 0, 30, "cmdline.limit"});
    CHECK(line.str() == "quiet");
    REQUIRE(line.append(std::string(24, 'x')));
    CHECK(line.str().size() == line.limit());
}

TEST_CASE("cmdline: has() sees whole words before \"--\" only") {
    cmdline line;
    REQUIRE(line.append("quiet root=/dev/vda x=\"nokaslr y\" -- single"));
    CHECK(line.has("quiet"));
    CHECK(line.has("root"));
    CHECK_FALSE(line.has("roo"));
    CHECK_FALSE(line.has("nokaslr"));
    CHECK_FALSE(line.has("single"));
    CHECK_FALSE(cmdline{}.has(""));
}
