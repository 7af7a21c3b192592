// SPDX-License-Identifier: Apache-2.0
/// \file
/// Making, naming and passing on `error` values.
#pragma once

#include "ktstr/base/error.hpp"

#include <cerrno>
#include <cstdint>
#include <expected>
#include <string_view>
#include <utility>

namespace ktstr {

/// An unexpected `error` of meaning `code` at `where` (a string literal) about `value`.
[[nodiscard]] constexpr std::unexpected<error> fail(errc code, std::string_view where, std::uint64_t value = 0) noexcept {
    return std::unexpected<error>(error{code, 0, value, where});
}

/// The meaning of an errno value. Values without a meaning of their own become `errc::os`.
[[nodiscard]] constexpr errc errc_from_errno(int number) noexcept {
    switch (number) {
    case EACCES:
    case EPERM: return errc::permission;
    case ENOENT:
    case ENODEV:
    case ENXIO: return errc::not_found;
    case EEXIST: return errc::already_exists;
    case ENOSPC:
    case EDQUOT: return errc::no_space;
    case EBUSY: return errc::busy;
    case ETIMEDOUT: return errc::timeout;
    case EINTR: return errc::interrupted;
    default: return errc::os;
    }
}

/// An unexpected `error` for the system call `where` that just failed; reads `errno` unless a number is given.
[[nodiscard]] inline std::unexpected<error> os_fail(std::string_view where, std::uint64_t value = 0, int number = errno) noexcept {
    return std::unexpected<error>(error{errc_from_errno(number), number, value, where});
}

/// A short English name of `code`; a code outside the enumeration reads "unknown error code".
[[nodiscard]] constexpr std::string_view message(errc code) noexcept {
    switch (code) {
    case errc::invalid_argument: return "invalid argument";
    case errc::out_of_range: return "out of range";
    case errc::bad_format: return "bad format";
    case errc::truncated: return "input is truncated";
    case errc::bad_checksum: return "checksum mismatch";
    case errc::unsupported: return "not supported";
    case errc::not_found: return "not found";
    case errc::already_exists: return "already exists";
    case errc::no_space: return "no space left";
    case errc::busy: return "busy";
    case errc::timeout: return "timed out";
    case errc::interrupted: return "interrupted";
    case errc::guest_fault: return "the guest misbehaved";
    case errc::permission: return "permission denied";
    case errc::os: return "operating system error";
    case errc::internal: return "internal error";
    }
    return "unknown error code";
}

} // namespace ktstr

#define KTSTR_DETAIL_CAT2(a, b) a##b
#define KTSTR_DETAIL_CAT(a, b) KTSTR_DETAIL_CAT2(a, b)

/// `KTSTR_TRY(auto x, f());` declares `x` from the value of a `result<T>`, or returns its error from this function.
/// Several statements: use it only as a full statement inside braces.
#define KTSTR_TRY(decl, ...)                                                                                           \
    auto KTSTR_DETAIL_CAT(ktstr_try_, __LINE__) = (__VA_ARGS__);                                                       \
    if (!KTSTR_DETAIL_CAT(ktstr_try_, __LINE__))                                                                       \
        return std::unexpected(std::move(KTSTR_DETAIL_CAT(ktstr_try_, __LINE__)).error());                             \
    decl = *std::move(KTSTR_DETAIL_CAT(ktstr_try_, __LINE__))

/// `KTSTR_CHECK(f());` returns the error of a `result<void>` from this function, if there is one.
#define KTSTR_CHECK(...)                                                                                               \
    do {                                                                                                               \
        auto ktstr_check_ = (__VA_ARGS__);                                                                             \
        if (!ktstr_check_)                                                                                             \
            return std::unexpected(std::move(ktstr_check_).error());                                                   \
    } while (false)
