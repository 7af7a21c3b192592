// SPDX-License-Identifier: Apache-2.0
#include "ktstr/base/fail.hpp"

#include "ktstr/base/error.hpp"

#include <array>
#include <doctest/doctest.h>
#include <memory>
#include <set>
#include <string>
#include <type_traits>

using namespace ktstr;

static_assert(std::is_trivially_copyable_v<error>);

TEST_CASE("message: each code has a text of its own, and a code outside says so") {
    std::set<std::string_view> seen;
    auto const last = static_cast<std::uint32_t>(errc::internal);
    for (std::uint32_t code = 1; code <= last; ++code) {
        auto const text = message(static_cast<errc>(code));
        CHECK(text != "unknown error code");
        CHECK(seen.insert(text).second);
    }
    CHECK(message(errc{}) == "unknown error code");
    CHECK(message(static_cast<errc>(last + 1)) == "unknown error code");
}

TEST_CASE("os_fail: keeps the number and gives it a meaning") {
    CHECK(os_fail("open", 7, ENOENT).error() == error{errc::not_found, ENOENT, 7, "open"});
    CHECK(os_fail("x", 0, EPERM).error().code == errc::permission);
    CHECK(os_fail("x", 0, EACCES).error().code == errc::permission);
    CHECK(os_fail("x", 0, EEXIST).error().code == errc::already_exists);
    CHECK(os_fail("x", 0, ENOSPC).error().code == errc::no_space);
    CHECK(os_fail("x", 0, EDQUOT).error().code == errc::no_space);
    CHECK(os_fail("x", 0, EBUSY).error().code == errc::busy);
    CHECK(os_fail("x", 0, ETIMEDOUT).error().code == errc::timeout);
    CHECK(os_fail("x", 0, EINTR).error().code == errc::interrupted);
    CHECK(os_fail("x", 0, EIO).error().code == errc::os);
    errno = ENXIO;
    CHECK(os_fail("x").error() == error{errc::not_found, ENXIO, 0, "x"});
}

static result<int> half(int n) {
    if (n % 2 != 0)
        return fail(errc::invalid_argument, "half", static_cast<std::uint64_t>(n));
    return n / 2;
}

static result<int> quarter(int n) {
    KTSTR_TRY(auto const once, half(n));
    KTSTR_TRY(auto const twice, half(once));
    return twice;
}

static result<> even(int n) {
    KTSTR_CHECK(quarter(n));
    return {};
}

static result<std::unique_ptr<int>> box(int n) {
    KTSTR_TRY(auto value, half(n));
    return std::make_unique<int>(value);
}

static result<int> unbox(int n) {
    KTSTR_TRY(auto const pointer, box(n)); // a move-only value passes
    return *pointer;
}

TEST_CASE("KTSTR_TRY and KTSTR_CHECK: pass values on, and errors unchanged") {
    CHECK(quarter(12) == 3);
    CHECK(quarter(6).error() == error{errc::invalid_argument, 0, 3, "half"});
    CHECK(even(4));
    CHECK(even(2).error().value == 1);
    CHECK(unbox(8) == 4);
    CHECK_FALSE(unbox(7));
}
