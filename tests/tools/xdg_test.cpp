// SPDX-License-Identifier: Apache-2.0
#include "support/xdg.hpp"

#include <cstdlib>
#include <doctest/doctest.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

using namespace ktstr::tool;

namespace {
class saved_variable {
public:
    explicit saved_variable(char const* name) : name_(name) {
        if (auto const* v = std::getenv(name)) {
            old_ = v;
            was_ = true;
        }
        ::unsetenv(name);
    }
    ~saved_variable() {
        if (was_)
            ::setenv(name_, old_.c_str(), 1);
        else
            ::unsetenv(name_);
    }

private:
    char const* name_;
    std::string old_;
    bool was_ = false;
};
} // namespace

TEST_CASE("xdg: the variable, else HOME, else a problem that says what to set") {
    saved_variable const home("HOME"), cache("XDG_CACHE_HOME"), state("XDG_STATE_HOME"), runtime("XDG_RUNTIME_DIR");
    CHECK(xdg_path(xdg_folder::cache).error().remedy == "set HOME, or set XDG_CACHE_HOME");
    ::setenv("HOME", "/home/u", 1);
    CHECK(*xdg_path(xdg_folder::cache) == "/home/u/.cache/ktstr");
    CHECK(*xdg_path(xdg_folder::state) == "/home/u/.local/state/ktstr");
    CHECK(*xdg_path(xdg_folder::runtime) == "/home/u/.local/state/ktstr/runtime");
    ::setenv("XDG_CACHE_HOME", "relative", 1);
    CHECK(*xdg_path(xdg_folder::cache) == "/home/u/.cache/ktstr");
    ::setenv("XDG_CACHE_HOME", "/c", 1);
    CHECK(*xdg_path(xdg_folder::cache) == "/c/ktstr");
}

TEST_CASE("xdg: folders are made with their parents and say which one failed") {
    char root[] = "/tmp/ktstr-xdg-test-XXXXXX";
    REQUIRE(::mkdtemp(root) != nullptr);
    std::string const base(root);
    CHECK(make_folders(base + "/a/b/c"));
    CHECK(make_folders(base + "/a/b/c"));
    struct stat st{};
    CHECK(::stat((base + "/a/b/c").c_str(), &st) == 0);
    auto const failed = make_folders("/proc/nowhere/x");
    REQUIRE_FALSE(failed);
    CHECK(failed.error().where == "/proc/nowhere");
    ::rmdir((base + "/a/b/c").c_str());
    ::rmdir((base + "/a/b").c_str());
    ::rmdir((base + "/a").c_str());
    ::rmdir(root);
}
