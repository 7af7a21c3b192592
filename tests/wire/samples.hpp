// SPDX-License-Identifier: Apache-2.0
/// \file
/// One value of every message with every field different from its default.
#pragma once

#include "ktstr/wire/messages.hpp"

#include <initializer_list>
#include <string_view>
#include <vector>

namespace samples {
using namespace ktstr::wire;

inline std::vector<std::byte> raw(std::string_view text) {
    auto const data = std::as_bytes(std::span(text.data(), text.size()));
    return {data.begin(), data.end()};
}

inline hello a_hello() {
    return {.protocol = 0x0102,
            .guest_ns = 0x1112131415161718,
            .start_ns = 2,
            .mounts_ns = 3,
            .modules_ns = 4,
            .cpus_online = 5,
            .memory_bytes = 6,
            .release = "7.3",
            .command_line = "quiet"};
}
inline phase a_phase() { return {agent_phase::run, 7}; }
inline output an_output() { return {stream::err, raw("ab")}; }
inline topology_report a_topology_report() { return {true, 8, {"x", "yz"}}; }
inline worker_report a_worker_report() {
    worker_report w;
    w.cgroup = 1, w.index = 2, w.pid = -3, w.end = worker_end::signaled, w.end_code = -9;
    w.work_units = 0x10, w.iterations = 0x11, w.wall_ns = 0x12, w.cpu_ns = 0x13, w.run_delay_ns = 0x14,
    w.time_slices = 0x15;
    w.wait_ns = 0x16, w.gap_ns = 0x17, w.gap_at_ns = 0x18, w.gap_cpu = 0x19, w.waited_units = 0x1a,
    w.waited_at_ns = 0x1b;
    w.waited_cpu = 0x1c, w.fastest_unit_ps = 0x1d, w.migrations = 0x1e, w.cpus_used = {0x1f},
    w.cpu_units = {0x20, 0x21};
    w.wakes = 0x22, w.wake_max_ns = 0x23, w.wake_sum_ns = 0x24, w.wake_histogram = {0x25, 0x26, 0x27};
    return w;
}
inline cgroup_report a_cgroup_report() { return {1, "0-3", 2, 3, 4}; }
inline kernel_log a_kernel_log() { return {raw("[1] x\n")}; }
inline scheduler_state a_scheduler_state() { return {state_moment::after_run, true, "enabled", "simple", 5, 6}; }
inline scenario_start a_scenario_start() { return {0x0807060504030201}; }
inline scenario_end a_scenario_end() { return {9, true}; }
inline agent_error an_agent_error() { return {agent_phase::cgroups, 7, 2, 3, "open", "/x"}; }
inline crash a_crash() { return {11, 0xdead, agent_phase::spawn}; }
inline exit_message an_exit() { return {-2}; }
inline progress a_progress() { return {10, agent_phase::run, {1, 2}}; }
inline kernel_note a_kernel_note() { return {0x1122334455667788, 0x1024}; }
inline snapshot_request a_snapshot_request() { return {0x01020304, snapshot_kind::watch, "panic_cpu"}; }
inline go a_go() { return {}; }
inline stop_request a_stop_request() { return {1}; }
inline stdin_data a_stdin_data() { return {true, raw("in")}; }
inline window_size a_window_size() { return {0x0102, 0x0304}; }
inline heartbeat_reply a_heartbeat_reply() { return {12}; }
inline snapshot_reply a_snapshot_reply() { return {0x01020304, false, "no"}; }

/// Calls `f` with a sample of each message.
template <class F>
void each_guest_message(F&& f) {
    f(a_hello()), f(a_phase()), f(an_output()), f(a_topology_report()), f(a_worker_report()), f(a_cgroup_report());
    f(a_kernel_log()), f(a_scheduler_state()), f(a_scenario_start()), f(a_scenario_end()), f(an_agent_error()),
        f(a_crash());
    f(an_exit()), f(a_progress()), f(a_kernel_note()), f(a_snapshot_request());
}
template <class F>
void each_host_message(F&& f) {
    f(a_go()), f(a_stop_request()), f(a_stdin_data()), f(a_window_size()), f(a_heartbeat_reply()), f(a_snapshot_reply());
}
template <class F>
void each_message(F&& f) {
    each_guest_message(f);
    each_host_message(f);
}

/// Bytes as lower-case hex.
inline std::string hex(std::span<std::byte const> data) {
    std::string out;
    for (auto const b : data) {
        constexpr std::string_view digits = "0123456789abcdef";
        out.push_back(digits[static_cast<unsigned>(b) >> 4]);
        out.push_back(digits[static_cast<unsigned>(b) & 15]);
    }
    return out;
}

} // namespace samples
