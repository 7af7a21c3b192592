// SPDX-License-Identifier: Apache-2.0
/// \file
/// How a run ended, as one value from which every rendering derives: text, JSON, exit code, KTAP, JUnit.
#pragma once

#include "support/problem.hpp"
#include "support/terminal.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace ktstr::tool {

/// Every way a run can end.
enum class status_kind : std::uint8_t {
    pass,
    fail,
    bad_input,
    inconclusive,
    missing,
    harness,
    timed_out,
    panic,
    signalled,
};
inline constexpr std::size_t status_kinds = 9;

/// What a kind is called in each rendering. `ktap` is the result word with its directive; `junit` the element inside
/// <testcase>, empty for none.
struct status_row {
    status_kind kind;
    exit_code code; ///< 128 for `signalled`; the number is added.
    std::string_view word;
    std::string_view json;
    std::string_view ktap;
    std::string_view junit;
    colour paint;
};

/// The one table. `docs/exit-codes.md` is checked against it.
inline constexpr std::array<status_row, status_kinds> status_table{{
    {status_kind::pass, exit_code::pass, "PASS", "pass", "ok", "", colour::good},
    {status_kind::fail, exit_code::fail, "FAIL", "fail", "not ok", "failure", colour::bad},
    {status_kind::bad_input, exit_code::bad_input, "BAD INPUT", "bad_input", "not ok", "error", colour::bad},
    {status_kind::inconclusive, exit_code::inconclusive, "INCONCLUSIVE", "inconclusive", "ok # SKIP inconclusive", "skipped",
     colour::warn},
    {status_kind::missing, exit_code::missing, "MISSING REQUIREMENT", "missing", "ok # SKIP", "skipped", colour::warn},
    {status_kind::harness, exit_code::harness, "HARNESS ERROR", "harness_error", "not ok", "error", colour::bad},
    {status_kind::timed_out, exit_code::timed_out, "TIMEOUT", "timeout", "not ok", "failure", colour::bad},
    {status_kind::panic, exit_code::panic, "GUEST PANIC", "guest_panic", "not ok", "failure", colour::bad},
    {status_kind::signalled, static_cast<exit_code>(128), "INTERRUPTED", "signal", "not ok", "error", colour::warn},
}};

namespace detail {
[[nodiscard]] consteval bool status_table_is_ordered() {
    for (std::size_t i = 0; i < status_kinds; ++i)
        if (status_table[i].kind != static_cast<status_kind>(i))
            return false;
    return true;
}
static_assert(status_table_is_ordered());
} // namespace detail

/// The end of one run.
struct run_status {
    status_kind kind = status_kind::harness;
    int signal = 0;      ///< For `signalled`.
    bool strict = false; ///< `--strict`: what cannot be judged or run counts as a failure.
    std::string line;    ///< The one line that decided it.
};

/// The row that holds for `s`: with `strict`, an inconclusive or missing one reads as `fail` does.
[[nodiscard]] constexpr status_row const& row_of(run_status const& s) noexcept {
    auto const unjudged = s.kind == status_kind::inconclusive || s.kind == status_kind::missing;
    return status_table[static_cast<std::size_t>(s.strict && unjudged ? status_kind::fail : s.kind)];
}

/// The program's exit code.
[[nodiscard]] constexpr exit_code code_of(run_status const& s) noexcept {
    return s.kind == status_kind::signalled ? ended_by_signal(s.signal) : row_of(s).code;
}

/// "PASS", "FAIL (strict: INCONCLUSIVE)", "INTERRUPTED (signal 2)".
[[nodiscard]] inline std::string text_of(run_status const& s) {
    auto const& row = row_of(s);
    std::string out(row.word);
    if (row.kind != s.kind)
        out += " (strict: " + std::string(status_table[static_cast<std::size_t>(s.kind)].word) + ")";
    if (s.kind == status_kind::signalled)
        out += " (signal " + std::to_string(s.signal) + ")";
    return out;
}

/// The kind behind an exit code that one of our programs gave.
[[nodiscard]] constexpr status_kind kind_of(exit_code code) noexcept {
    for (auto const& row : status_table)
        if (row.kind != status_kind::signalled && row.code == code)
            return row.kind;
    return static_cast<int>(code) > 128 && static_cast<int>(code) < 193 ? status_kind::signalled : status_kind::harness;
}

/// The status that a problem amounts to.
[[nodiscard]] inline run_status status_of(problem const& p, bool strict = false) {
    auto const kind = kind_of(p.code);
    return {kind, kind == status_kind::signalled ? static_cast<int>(p.code) - 128 : 0, strict, p.what};
}

} // namespace ktstr::tool
