// SPDX-License-Identifier: Apache-2.0
#include "ktstr/sys/fd.hpp"

#include <doctest/doctest.h>
#include <type_traits>

using namespace ktstr;

static_assert(!std::is_copy_constructible_v<unique_fd> && !std::is_convertible_v<unique_fd, int>);
static_assert(std::is_nothrow_move_assignable_v<unique_fd>);

static bool is_open(int fd) {
    return ::fcntl(fd, F_GETFD) >= 0;
}

TEST_CASE("unique_fd: closes what it owns, once") {
    int number = -1;
    {
        auto fd = unique_fd::open("/dev/null", O_RDWR);
        REQUIRE(fd);
        number = fd->get();
        CHECK(is_open(number));
        CHECK((::fcntl(number, F_GETFD) & FD_CLOEXEC) != 0);
    }
    CHECK_FALSE(is_open(number));
    unique_fd const none;
    CHECK(none.get() == -1);
    CHECK_FALSE(none);
}

TEST_CASE("unique_fd: 0 is a descriptor like any other") {
    unique_fd zero(0);
    CHECK(zero);
    CHECK(zero.release() == 0);
    CHECK_FALSE(zero);
}

TEST_CASE("unique_fd: moving, also onto itself and onto an owner") {
    auto a = unique_fd::eventfd().value();
    auto b = unique_fd::memfd("test").value();
    auto const first = a.get();
    auto const second = b.get();
    auto& alias = a;
    a = std::move(alias);
    CHECK(a.get() == first);
    CHECK(is_open(first));
    a = std::move(b);
    CHECK(a.get() == second);
    CHECK_FALSE(is_open(first));
    unique_fd c(std::move(a));
    CHECK(c.get() == second);
    c.reset();
    CHECK_FALSE(is_open(second));
    c.reset();
}

TEST_CASE("unique_fd: factories are close-on-exec and say which call failed") {
    CHECK((::fcntl(unique_fd::eventfd()->get(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((::fcntl(unique_fd::memfd("test")->get(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(unique_fd::open("/nonexistent/file", O_RDONLY).error() == error{errc::not_found, ENOENT, 0, "open"});
    CHECK(unique_fd::memfd("test", 0x8000'0000U).error().where == "memfd_create");
}
