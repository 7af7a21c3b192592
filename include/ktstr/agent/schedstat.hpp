// SPDX-License-Identifier: Apache-2.0
/// \file
/// What the kernel tells about a task's time on and off the CPU.
#pragma once

#include "ktstr/sys/io.hpp"

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace ktstr::agent {

/// /proc/PID/schedstat: nanoseconds on a CPU, nanoseconds runnable and waiting, number of time slices.
struct task_schedstat {
    std::uint64_t cpu_ns = 0;
    std::uint64_t run_delay_ns = 0;
    std::uint64_t slices = 0;
};

namespace detail {
/// The decimal number at the front of `text`, which then starts behind it; nothing when there is none or it is too big.
[[nodiscard]] constexpr std::optional<std::uint64_t> take_number(std::string_view& text) noexcept {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
        text.remove_prefix(1);
    if (text.empty() || text.front() < '0' || text.front() > '9')
        return std::nullopt;
    std::uint64_t value = 0;
    while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
        if (__builtin_mul_overflow(value, std::uint64_t{10}, &value) ||
            __builtin_add_overflow(value, static_cast<std::uint64_t>(text.front() - '0'), &value))
            return std::nullopt;
        text.remove_prefix(1);
    }
    return value;
}
} // namespace detail

/// Parses the three numbers; nothing when one is missing.
[[nodiscard]] constexpr std::optional<task_schedstat> parse_schedstat(std::string_view text) noexcept {
    auto const a = detail::take_number(text);
    auto const b = a ? detail::take_number(text) : std::nullopt;
    auto const c = b ? detail::take_number(text) : std::nullopt;
    if (!c)
        return std::nullopt;
    return task_schedstat{*a, *b, *c};
}

/// wait_sum of /proc/PID/sched ("milliseconds.nanoseconds" as the kernel prints it) in nanoseconds; nothing when the
/// kernel does not print it (schedstats off).
[[nodiscard]] constexpr std::optional<std::uint64_t> parse_wait_sum(std::string_view text) noexcept {
    auto const at = text.find("wait_sum");
    if (at == std::string_view::npos)
        return std::nullopt;
    text = text.substr(at);
    text = text.substr(0, text.find('\n'));
    auto const colon = text.find(':');
    if (colon == std::string_view::npos)
        return std::nullopt;
    text.remove_prefix(colon + 1);
    auto const ms = detail::take_number(text);
    if (!ms || text.empty() || text.front() != '.')
        return std::nullopt;
    text.remove_prefix(1);
    auto const ns = detail::take_number(text); // six digits
    std::uint64_t total = 0;
    if (!ns || __builtin_mul_overflow(*ms, std::uint64_t{1'000'000}, &total) ||
        __builtin_add_overflow(total, *ns, &total))
        return std::nullopt;
    return total;
}

/// The schedstat of process `pid` (0 = the caller); zeros when it cannot be read.
[[nodiscard]] inline task_schedstat read_schedstat(pid_t pid) {
    char path[64];
    if (pid == 0)
        std::snprintf(path, sizeof path, "/proc/self/schedstat");
    else
        std::snprintf(path, sizeof path, "/proc/%d/schedstat", static_cast<int>(pid));
    auto const text = read_file(path, 4096);
    return text ? parse_schedstat(*text).value_or(task_schedstat{}) : task_schedstat{};
}

/// wait_sum of process `pid` (0 = the caller); 0 when it cannot be read.
[[nodiscard]] inline std::uint64_t read_wait_sum(pid_t pid) {
    char path[64];
    if (pid == 0)
        std::snprintf(path, sizeof path, "/proc/self/sched");
    else
        std::snprintf(path, sizeof path, "/proc/%d/sched", static_cast<int>(pid));
    auto const text = read_file(path, 65536);
    return text ? parse_wait_sum(*text).value_or(0) : 0;
}

} // namespace ktstr::agent
