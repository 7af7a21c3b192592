// SPDX-License-Identifier: Apache-2.0
/// \file
/// What a program says when it cannot go on: the exit codes of all our tools, and a failure in words a person can act on.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace ktstr::tool {

/// How a program of this project ends. `docs/exit-codes.md` is the same table in prose.
enum class exit_code : int {
    pass = 0,         ///< Every check passed.
    fail = 1,         ///< A check failed (a worker killed for memory included).
    bad_input = 2,    ///< What the user named is wrong; found before a machine starts.
    inconclusive = 3, ///< The run happened and cannot be judged (`--strict`: 1).
    missing = 77,     ///< This machine or kernel lacks something needed (`--strict`: 1).
    harness = 99,     ///< Our failure or the host's.
    timed_out = 124,  ///< The wall limit passed, or the guest hung.
    panic = 255,      ///< The guest's kernel panicked.
};

/// The code of a program that signal `number` ended, after its clean-up.
[[nodiscard]] constexpr exit_code ended_by_signal(int number) noexcept { return static_cast<exit_code>(128 + number); }

/// A failure as its reader needs it: what went wrong, where it was seen, and what to do about it.
/// `where` and `remedy` may be empty; then their line is not printed.
struct problem {
    exit_code code = exit_code::harness;
    std::string what;
    std::string where;
    std::string remedy;
};

/// A value, or the problem to show to the user.
template <class T = void>
using outcome = std::expected<T, problem>;

/// A problem as the failing value of an `outcome`.
[[nodiscard]] inline std::unexpected<problem> problem_of(exit_code code, std::string what, std::string where = {},
                                                         std::string remedy = {}) {
    return std::unexpected(problem{code, std::move(what), std::move(where), std::move(remedy)});
}

/// One line about a library error: meaning, system error text, place and number.
[[nodiscard]] inline std::string describe(error const& e) {
    std::string out(message(e.code));
    if (e.os_errno != 0) {
        out += ": ";
        out += std::strerror(e.os_errno);
    }
    out += " (at ";
    out += e.where;
    if (e.value != 0) {
        out += ", value ";
        out += std::to_string(e.value);
    }
    out += ')';
    return out;
}

/// A library error told as a problem: `what` says what we were doing, `where` which file or thing it was about.
[[nodiscard]] inline problem problem_from(error const& e, exit_code code, std::string what, std::string where = {},
                                          std::string remedy = {}) {
    return problem{code, std::move(what) + ": " + describe(e), std::move(where), std::move(remedy)};
}

/// The lines that `print` writes, each ended by a newline.
[[nodiscard]] inline std::string text(problem const& p) {
    std::string out = "error: " + p.what + '\n';
    if (!p.where.empty())
        out += "  where: " + p.where + '\n';
    if (!p.remedy.empty())
        out += "  remedy: " + p.remedy + '\n';
    return out;
}

/// Writes the problem to stderr.
inline void print(problem const& p) {
    auto const lines = text(p);
    std::fwrite(lines.data(), 1, lines.size(), stderr);
}

} // namespace ktstr::tool
