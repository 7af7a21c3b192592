// SPDX-License-Identifier: Apache-2.0
#include "ktstr/sys/publish.hpp"

#include "suites/temp_folder.hpp"

#include <csignal>
#include <doctest/doctest.h>
#include <sys/resource.h>

using namespace ktstr;

TEST_CASE("publish: makes and replaces a file, and leaves nothing beside it") {
    temp_folder const folder;
    auto const path = folder.at("result.json");
    CHECK(publish(path, "one", 0600));
    CHECK(read_file(path.c_str()) == "one");
    CHECK(publish(path, "two, longer"));
    CHECK(read_file(path.c_str()) == "two, longer");
    CHECK(publish(path, ""));
    CHECK(read_file(path.c_str()) == "");
    CHECK(folder.entries() == 1);
}

TEST_CASE("publication: without commit the old content stays and the temporary file goes") {
    temp_folder const folder;
    auto const path = folder.at("f");
    REQUIRE(publish(path, "old"));
    {
        auto file = publication::open(path);
        REQUIRE(file);
        CHECK(write_all(file->fd(), "new"));
        CHECK(folder.entries() == 2);
        publication const moved(std::move(*file));
        CHECK(read_file(path.c_str()) == "old");
    }
    CHECK(read_file(path.c_str()) == "old");
    CHECK(folder.entries() == 1);
}

TEST_CASE("publish: a full disk keeps the old content") {
    temp_folder const folder;
    auto const path = folder.at("f");
    REQUIRE(publish(path, "old"));
    // A file-size limit stands for the full disk: write(2) fails half-way in the same place.
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit old{};
    ::getrlimit(RLIMIT_FSIZE, &old);
    rlimit small{100'000, old.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &small);
    auto const answer = publish(path, std::string(300'000, 'x'));
    ::setrlimit(RLIMIT_FSIZE, &old);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().os_errno == EFBIG);
    CHECK(read_file(path.c_str()) == "old");
    CHECK(folder.entries() == 1);
}

TEST_CASE("publish: a folder that is not there, or is a file, or is the target") {
    temp_folder const folder;
    CHECK(publish(folder.at("no/such/file"), "x").error().code == errc::not_found);
    REQUIRE(publish(folder.at("f"), "x"));
    CHECK(publish(folder.at("f/g"), "x").error().os_errno == ENOTDIR);
    CHECK(publish(folder.path(), "x").error() == error{errc::unsupported, 0, publish(folder.path(), "x").error().value, "publish.target"});
}

TEST_CASE("publish: devices and symbolic links are refused, not replaced") {
    CHECK(publish("/dev/null", "x").error().code == errc::unsupported);
    temp_folder const folder;
    REQUIRE(publish(folder.at("f"), "old"));
    REQUIRE(::symlink("f", folder.at("link").c_str()) == 0);
    CHECK(publish(folder.at("link"), "x").error().where == "publish.target");
    CHECK(read_file(folder.at("f").c_str()) == "old");
}

TEST_CASE("publish: a temporary file left by a dead process with our id is stepped over") {
    temp_folder const folder;
    auto const path = folder.at("f");
    // The serial number is unknown to the caller, so leave a few in its way.
    std::uint32_t serial = 0;
    {
        auto const probe = publication::open(path);
        REQUIRE(probe);
        char link[64];
        std::snprintf(link, sizeof link, "/proc/self/fd/%d", probe->fd());
        char target[512];
        auto const n = ::readlink(link, target, sizeof target - 1);
        REQUIRE(n > 0);
        target[n] = '\0';
        serial = static_cast<std::uint32_t>(std::atoi(std::string(target).substr(std::string(target).rfind('-') + 1).c_str()));
    }
    for (std::uint32_t i = 1; i <= 3; ++i) {
        auto const name = path + ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(serial + i);
        REQUIRE(unique_fd::open(name.c_str(), O_CREAT | O_WRONLY, 0600));
    }
    CHECK(publish(path, "new"));
    CHECK(read_file(path.c_str()) == "new");
    CHECK(folder.entries() == 4);
}
