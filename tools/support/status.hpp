// SPDX-License-Identifier: Apache-2.0
/// \file
/// How a run ended, as one value from which every rendering derives: text, JSON, exit code, KTAP, JUnit.
#pragma once

#include "ktstr/scenario/verdict.hpp"
#include "support/problem.hpp"
#include "support/terminal.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace ktstr::tool {

/// What an outcome is called in each rendering. `ktap` is the result word with its directive; `junit` the element inside
/// <testcase>, empty for none. The exit code is `ktstr::exit_code`'s.
struct status_row {
    outcome_kind kind;
    std::string_view word;
    std::string_view json;
    std::string_view ktap;
    std::string_view junit;
    colour paint;
};

/// The one table. `docs/exit-codes.md` is checked against it.
inline constexpr std::array<status_row, outcome_kinds> status_table{{
    {outcome_kind::pass, "PASS", "pass", "ok", "", colour::good},
    {outcome_kind::fail, "FAIL", "fail", "not ok", "failure", colour::bad},
    {outcome_kind::usage, "BAD INPUT", "bad_input", "not ok", "error", colour::bad},
    {outcome_kind::inconclusive, "INCONCLUSIVE", "inconclusive", "ok # SKIP inconclusive", "skipped", colour::warn},
    {outcome_kind::skip, "SKIP", "skip", "ok # SKIP", "skipped", colour::warn},
    {outcome_kind::host_error, "HOST ERROR", "host_error", "not ok", "error", colour::bad},
    {outcome_kind::wall_limit, "TIME LIMIT", "time_limit", "not ok", "failure", colour::bad},
    {outcome_kind::guest_hang, "GUEST HANG", "guest_hang", "not ok", "failure", colour::bad},
    {outcome_kind::interrupted, "INTERRUPTED", "interrupted", "not ok", "error", colour::warn},
    {outcome_kind::guest_panic, "GUEST PANIC", "guest_panic", "not ok", "failure", colour::bad},
    {outcome_kind::agent_crash, "AGENT CRASH", "agent_crash", "not ok", "error", colour::bad},
}};

namespace detail {
[[nodiscard]] consteval bool status_table_is_ordered() {
    for (std::size_t i = 0; i < outcome_kinds; ++i)
        if (status_table[i].kind != static_cast<outcome_kind>(i))
            return false;
    return true;
}
static_assert(status_table_is_ordered());
} // namespace detail

/// The end of one run, or of one attempt.
struct run_status {
    outcome_kind kind = outcome_kind::host_error;
    int signal = 0;      ///< For `interrupted`.
    bool strict = false; ///< `--strict`: what cannot be judged or run counts as a failure.
    std::string line;    ///< The one line that decided it.
};

/// The row that holds for `s`: with `strict`, an inconclusive or skipped one reads as `fail` does.
[[nodiscard]] constexpr status_row const& row_of(run_status const& s) noexcept {
    auto const unjudged = s.kind == outcome_kind::inconclusive || s.kind == outcome_kind::skip;
    return status_table[static_cast<std::size_t>(s.strict && unjudged ? outcome_kind::fail : s.kind)];
}

/// The program's exit code.
[[nodiscard]] constexpr exit_code code_of(run_status const& s) noexcept {
    return static_cast<exit_code>(ktstr::exit_code(s.kind, s.strict, s.signal));
}

/// "PASS", "FAIL (strict: INCONCLUSIVE)", "INTERRUPTED (signal 2)".
[[nodiscard]] inline std::string text_of(run_status const& s) {
    auto const& row = row_of(s);
    std::string out(row.word);
    if (row.kind != s.kind)
        out += " (strict: " + std::string(status_table[static_cast<std::size_t>(s.kind)].word) + ")";
    if (s.kind == outcome_kind::interrupted)
        out += " (signal " + std::to_string(s.signal) + ")";
    return out;
}

/// The kind behind the exit code of a problem.
[[nodiscard]] constexpr outcome_kind kind_of(exit_code code) noexcept {
    switch (code) {
    case exit_code::pass: return outcome_kind::pass;
    case exit_code::fail: return outcome_kind::fail;
    case exit_code::bad_input: return outcome_kind::usage;
    case exit_code::inconclusive: return outcome_kind::inconclusive;
    case exit_code::missing: return outcome_kind::skip;
    case exit_code::harness: return outcome_kind::host_error;
    case exit_code::timed_out: return outcome_kind::wall_limit;
    case exit_code::panic: return outcome_kind::guest_panic;
    }
    auto const number = static_cast<int>(code);
    return number > 128 && number < 193 ? outcome_kind::interrupted : outcome_kind::host_error;
}

/// The status that a problem amounts to.
[[nodiscard]] inline run_status status_of(problem const& p, bool strict = false) {
    auto const kind = kind_of(p.code);
    return {kind, kind == outcome_kind::interrupted ? static_cast<int>(p.code) - 128 : 0, strict, p.what};
}

/// The status that a verdict amounts to.
[[nodiscard]] inline run_status status_of(verdict const& v, bool strict = false) {
    return {v.outcome, v.signal, strict, v.line};
}

} // namespace ktstr::tool
