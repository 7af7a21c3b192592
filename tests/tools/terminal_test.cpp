// SPDX-License-Identifier: Apache-2.0
#include "support/terminal.hpp"

#include "support/progress.hpp"

#include <cstdlib>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <string>
#include <unistd.h>

using namespace ktstr::tool;

TEST_CASE("terminal: NO_COLOR wins over CLICOLOR_FORCE, which wins over a pipe") {
    int pipe_ends[2];
    REQUIRE(::pipe(pipe_ends) == 0);
    ::unsetenv("NO_COLOR");
    ::unsetenv("CLICOLOR_FORCE");
    CHECK_FALSE(use_colour(pipe_ends[1]));
    ::setenv("CLICOLOR_FORCE", "1", 1);
    CHECK(use_colour(pipe_ends[1]));
    ::setenv("CLICOLOR_FORCE", "0", 1);
    CHECK_FALSE(use_colour(pipe_ends[1]));
    ::setenv("CLICOLOR_FORCE", "1", 1);
    ::setenv("NO_COLOR", "1", 1);
    CHECK_FALSE(use_colour(pipe_ends[1]));
    ::setenv("NO_COLOR", "", 1);
    CHECK(use_colour(pipe_ends[1]));
    ::unsetenv("NO_COLOR");
    ::unsetenv("CLICOLOR_FORCE");
    CHECK(terminal_width(pipe_ends[1]) == 80);
    CHECK(paint("x", colour::bad, false) == "x");
    CHECK(paint("x", colour::bad, true) == "\033[31mx\033[0m");
    ::close(pipe_ends[0]);
    ::close(pipe_ends[1]);
}

TEST_CASE("progress: plain lines carry no escape, quiet says nothing") {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    {
        progress quiet(ends[1], progress_style::quiet);
        quiet.phase("boot");
        quiet.line("x");
        progress plain(ends[1], progress_style_for(ends[1], false));
        plain.phase("kernel");
        plain.tick();
        plain.line("a line");
    }
    ::close(ends[1]);
    char text[256];
    auto const n = ::read(ends[0], text, sizeof text);
    REQUIRE(n > 0);
    std::string const got(text, static_cast<std::size_t>(n));
    CHECK(got.find('\033') == std::string::npos);
    CHECK(got.find("] kernel\na line\n") != std::string::npos);
    CHECK(got.find("boot") == std::string::npos);
    ::close(ends[0]);
}

TEST_CASE("progress: a terminal gets one line that is removed at the end") {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    {
        progress shown(ends[1], progress_style::terminal);
        shown.phase("kernel", ktstr::seconds(10));
    }
    ::close(ends[1]);
    char text[256];
    auto const n = ::read(ends[0], text, sizeof text);
    REQUIRE(n > 0);
    std::string const got(text, static_cast<std::size_t>(n));
    CHECK(got.find("kernel, 9.9s to go") != std::string::npos);
    CHECK(got.ends_with("\r\033[K"));
    CHECK(got.find('\n') == std::string::npos);
    ::close(ends[0]);
}
