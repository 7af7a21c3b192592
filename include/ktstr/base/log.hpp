// SPDX-License-Identifier: Apache-2.0
/// \file
/// The `LogSink` policy: where the library's own remarks go.
///
/// Contract: `write(level, text)` may be called from any thread, must not throw, and must copy what it keeps: `text` is
/// one line without a newline, valid only during the call. The library never logs on the vCPU hot path.
/// Models: `null_log`, `stderr_log`. Suite: tests/suites/log_suite.hpp.
#pragma once

#include <concepts>
#include <cstdint>
#include <string_view>
#include <unistd.h>

namespace ktstr {

/// How much a remark matters.
enum class log_level : std::uint8_t { debug, info, warning, error };

namespace detail {
template <class L>
concept log_sink_write = requires(L& l, log_level v, std::string_view s) {
    { l.write(v, s) } noexcept -> std::same_as<void>;
};
} // namespace detail

/// A receiver of log lines; see the contract at the top of this file.
template <class L>
concept LogSink = detail::log_sink_write<L>;

/// Fails to compile with one sentence per requirement that `L` misses.
template <class L>
consteval bool explain_log_sink() {
    static_assert(detail::log_sink_write<L>, "LogSink: missing `void write(log_level, std::string_view) noexcept`");
    return LogSink<L>;
}

/// Drops everything.
struct null_log {
    void write(log_level, std::string_view) noexcept {}
};
static_assert(LogSink<null_log>);

/// Writes one line per remark to standard error with a single system call, so that lines of threads do not mix.
struct stderr_log {
    log_level least = log_level::info; ///< Remarks below this level are dropped.

    void write(log_level level, std::string_view text) noexcept {
        if (level < least)
            return;
        char line[512];
        constexpr std::string_view prefix = "ktstr: ";
        auto n = prefix.copy(line, prefix.size());
        n += text.copy(line + n, sizeof line - n - 1);
        line[n++] = '\n';
        [[maybe_unused]] auto const ignored = ::write(STDERR_FILENO, line, n);
    }
};
static_assert(LogSink<stderr_log>);

} // namespace ktstr
