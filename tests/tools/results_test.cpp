// SPDX-License-Identifier: Apache-2.0
#include "ktstr-run/results.hpp"

#include "ktstr/sys/io.hpp"

#include <cstdlib>
#include <doctest/doctest.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

using namespace ktstr::tool;

TEST_CASE("results: every run has a folder of its own, and files appear whole") {
    char root[] = "/tmp/ktstr-results-test-XXXXXX";
    REQUIRE(::mkdtemp(root) != nullptr);
    auto const* old = std::getenv("XDG_STATE_HOME");
    std::string const before = old == nullptr ? "" : old;
    ::setenv("XDG_STATE_HOME", root, 1);
    auto const a = results_folder::make_new(7);
    auto const b = results_folder::make_new(7);
    REQUIRE(a);
    REQUIRE(b);
    CHECK(a->path() != b->path());
    CHECK(a->path().starts_with(std::string(root) + "/ktstr/runs/"));
    CHECK(a->put("result.json", "{}"));
    CHECK(*ktstr::read_file((a->path() + "/result.json").c_str()) == "{}");
    CHECK(a->put("result.json", "[]"));
    CHECK(*ktstr::read_file((a->path() + "/result.json").c_str()) == "[]");
    ::unlink((a->path() + "/result.json").c_str());
    ::rmdir(a->path().c_str());
    ::rmdir(b->path().c_str());
    ::rmdir((std::string(root) + "/ktstr/runs").c_str());
    ::rmdir((std::string(root) + "/ktstr").c_str());
    ::rmdir(root);
    if (before.empty())
        ::unsetenv("XDG_STATE_HOME");
    else
        ::setenv("XDG_STATE_HOME", before.c_str(), 1);
}

TEST_CASE("results: a full disk is named, and the remedy says so") {
    auto const full = put_file("/dev/full", "x", "json");
    REQUIRE_FALSE(full);
    CHECK(full.error().code == exit_code::harness);
    CHECK(full.error().what.starts_with("the disk is full"));
    CHECK(full.error().where == "/dev/full (option --json)");
}

TEST_CASE("results: where no file can be made is known before the run") {
    CHECK(check_writable("-", "json"));
    CHECK(check_writable("/tmp/some-new-file", "json"));
    CHECK(check_writable("/tmp", "json").error().what == "'/tmp' is a folder");
    CHECK(check_writable("/nowhere/x", "json").error().code == exit_code::bad_input);
    CHECK(check_writable("/nowhere/x", "dmesg").error().where == "option --dmesg");
}
