// SPDX-License-Identifier: Apache-2.0
/// \file
/// Reads a guest's kernel log for what no healthy run may contain.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ktstr {

/// What a line of the log can mean. Ordered by how much it decides.
enum class log_event : std::uint8_t {
    panic,           ///< The kernel gave up.
    init_killed,     ///< Pid 1 died: in our guests that is the agent.
    oops,            ///< A fault in kernel mode.
    hard_lockup,     ///< A CPU did not even take an NMI's perf tick.
    soft_lockup,     ///< A CPU did not schedule for 20 s and more.
    rcu_stall,       ///< A grace period did not end.
    hung_task,       ///< A task blocked for two minutes and more.
    out_of_memory,   ///< A process was killed for its memory.
    scheduler_death, ///< A sched_ext scheduler was thrown out by the kernel.
    agent_failed,    ///< Our pid 1 says which of its phases failed.
};
inline constexpr std::size_t log_events = 10;

/// The name of an event in reports.
[[nodiscard]] constexpr std::string_view name_of(log_event e) noexcept {
    constexpr std::array<std::string_view, log_events> names{
        "kernel panic", "init killed", "oops",          "hard lockup",     "soft lockup",
        "RCU stall",    "hung task",   "out of memory", "scheduler death", "agent failure"};
    auto const at = static_cast<std::size_t>(e);
    return at < names.size() ? names[at] : "unknown event";
}

namespace detail {
/// A line belongs to `event` when it contains `first` and, later in the line, `then` (empty = no more needed).
struct log_pattern {
    log_event event;
    std::string_view first;
    std::string_view then;
};

/// Texts as printed by linux 6.1-7.3: kernel/panic.c, kernel/exit.c, arch/x86/{mm/fault,kernel/traps,kernel/dumpstack}.c,
/// arch/arm64/mm/fault.c, kernel/watchdog*.c, kernel/hung_task.c, kernel/rcu/tree_stall.h, mm/oom_kill.c,
/// kernel/sched/ext.c. The order matters: the first that fits names the line.
inline constexpr std::array log_patterns{
    log_pattern{log_event::init_killed, "Attempted to kill init!", ""},
    log_pattern{log_event::panic, "Kernel panic - not syncing", ""},
    log_pattern{log_event::hard_lockup, "hard LOCKUP", ""},
    log_pattern{log_event::soft_lockup, "BUG: soft lockup", ""},
    log_pattern{log_event::rcu_stall, "rcu", "detected stall"},
    log_pattern{log_event::rcu_stall, "rcu", "self-detected stall"},
    log_pattern{log_event::rcu_stall, "rcu", "detected expedited stalls"},
    log_pattern{log_event::rcu_stall, "rcu", "kthread starved for"},
    log_pattern{log_event::hung_task, "INFO: task ", "blocked for more than"},
    log_pattern{log_event::hung_task, "INFO: task ", "blocked on "},
    log_pattern{log_event::oops, "BUG: unable to handle", ""},
    log_pattern{log_event::oops, "BUG: kernel NULL pointer dereference", ""},
    log_pattern{log_event::oops, "kernel BUG at ", ""},
    log_pattern{log_event::oops, "Oops: ", ""},
    log_pattern{log_event::oops, "Internal error: Oops", ""},
    log_pattern{log_event::oops, "Unable to handle kernel ", ""},
    log_pattern{log_event::oops, "BUG: scheduling while atomic", ""},
    log_pattern{log_event::oops, "BUG: sleeping function called from invalid context", ""},
    log_pattern{log_event::oops, "BUG: workqueue lockup", ""},
    log_pattern{log_event::oops, "Kernel stack overflow", ""},
    log_pattern{log_event::oops, "stack-protector: Kernel stack is corrupted", ""},
    log_pattern{log_event::out_of_memory, "ut of memory: Killed process", ""},
    log_pattern{log_event::scheduler_death, "sched_ext: ", "errored, disabling"},
    log_pattern{log_event::scheduler_death, "sched_ext: ", "disabled (runtime error)"},
    log_pattern{log_event::scheduler_death, "sched_ext: ", "disabled (runnable task stall)"},
    log_pattern{log_event::scheduler_death, "sched_ext: ", "disabled (disabled by sysrq-S)"},
    log_pattern{log_event::scheduler_death, "sched_ext: ", "disabled (scx_bpf_error)"},
    log_pattern{log_event::agent_failed, "ktstr agent: phase ", "failed"},
};
} // namespace detail

/// What one line of the log means, or nothing: `found` is false.
struct line_meaning {
    bool found = false;
    log_event event = log_event::panic;
};

/// Reads one line.
[[nodiscard]] constexpr line_meaning read_log_line(std::string_view line) noexcept {
    for (auto const& p : detail::log_patterns) {
        auto const at = line.find(p.first);
        if (at != std::string_view::npos &&
            (p.then.empty() || line.find(p.then, at + p.first.size()) != std::string_view::npos))
            return {true, p.event};
    }
    return {};
}

/// What a whole log contains: by event, how many lines and the first of them (borrowed from the log, at most 240 bytes).
struct log_findings {
    std::array<std::uint32_t, log_events> count{};
    std::array<std::string_view, log_events> first{};

    [[nodiscard]] constexpr bool has(log_event e) const noexcept { return count[static_cast<std::size_t>(e)] != 0; }
    [[nodiscard]] constexpr std::string_view line(log_event e) const noexcept {
        return first[static_cast<std::size_t>(e)];
    }
};

/// Reads every line of `log`. Lines longer than 1024 bytes are read in their first 1024. Linear in the size of the log.
[[nodiscard]] constexpr log_findings scan_kernel_log(std::string_view log) noexcept {
    log_findings out;
    while (!log.empty()) {
        auto const end = log.find('\n');
        auto line = log.substr(0, end);
        log = end == std::string_view::npos ? std::string_view{} : log.substr(end + 1);
        while (!line.empty() && (line.back() == '\r' || line.back() == ' '))
            line.remove_suffix(1);
        auto const meaning = read_log_line(line.substr(0, 1024));
        if (!meaning.found)
            continue;
        auto const at = static_cast<std::size_t>(meaning.event);
        if (out.count[at]++ == 0)
            out.first[at] = line.substr(0, 240);
    }
    return out;
}

} // namespace ktstr
