// SPDX-License-Identifier: Apache-2.0
#include "ktstr-run/exec_plan.hpp"

#include <doctest/doctest.h>

using namespace ktstr;
using namespace ktstr::tool;

TEST_CASE("exec_plan: programs are found as a shell would") {
    CHECK(find_program("sh", "/nowhere:/bin") == "/bin/sh");
    CHECK(find_program("/bin/sh", "") == "/bin/sh");
    CHECK(find_program("no-such-program", "/bin:/usr/bin").empty());
    CHECK(find_program("/etc/passwd", "").empty());
    CHECK(find_program("", "/bin").empty());
    CHECK(find_program("tmp", "/").empty()); // a folder is no program
}

TEST_CASE("exec_plan: the program comes along under its own path") {
    boot_options const options;
    auto const p = plan_exec({"/bin/sh", "-c", "true"}, options);
    REQUIRE(p);
    CHECK(p->what.mode == run_mode::exec);
    CHECK(p->what.arguments == std::vector<std::string>{"/bin/sh", "-c", "true"});
    CHECK(p->what.forward_stdin);
    REQUIRE(p->files.size() == 1);
    CHECK(p->files[0].path == "/bin/sh");
    auto const wrong = plan_exec({"/nowhere/prog"}, options);
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().code == exit_code::bad_input);
    boot_options own;
    own.initramfs = "/some/archive";
    auto const inside = plan_exec({"only-there"}, own);
    REQUIRE(inside);
    CHECK(inside->files.empty());
    CHECK(inside->what.arguments[0] == "only-there");
    CHECK(plan_exec({"ls"}, own, {"/bin/ls"})->what.arguments[0] == "/bin/ls");
    CHECK(plan_shell(own)->what.arguments.empty());
    CHECK(plan_shell(own, {"/bin/sh"})->what.arguments[0] == "/bin/sh");
}

TEST_CASE("exec_plan: a shell has something to start") {
    auto const p = plan_shell({});
    REQUIRE(p);
    CHECK(p->what.mode == run_mode::shell);
    REQUIRE_FALSE(p->files.empty());
    CHECK(p->files[0].path == p->what.arguments[0]);
}
