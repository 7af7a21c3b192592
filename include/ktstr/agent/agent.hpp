// SPDX-License-Identifier: Apache-2.0
/// \file
/// Pid 1 of the guest: from the kernel's first user-space instruction to the machine's end.
#pragma once

#include "ktstr/agent/cgroup.hpp"
#include "ktstr/agent/command.hpp"
#include "ktstr/agent/crash_handler.hpp"
#include "ktstr/agent/ending.hpp"
#include "ktstr/agent/executor.hpp"
#include "ktstr/agent/kernel_note.hpp"
#include "ktstr/agent/modules.hpp"
#include "ktstr/agent/mounts.hpp"
#include "ktstr/agent/scheduler_state.hpp"
#include "ktstr/agent/session.hpp"
#include "ktstr/agent/shell.hpp"
#include "ktstr/agent/topology_check.hpp"
#include "ktstr/scenario/plan.hpp"

#include <cstdint>
#include <sched.h>
#include <string>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace ktstr::agent {

/// Where things lie in the initramfs and the guest.
inline constexpr char plan_path[] = "/ktstr/plan";
inline constexpr char modules_path[] = "/ktstr/modules";
inline constexpr char cgroup_mount[] = "/sys/fs/cgroup";
inline constexpr char cgroup_parent[] = "ktstr";
inline constexpr char console_path[] = "/dev/hvc0";
/// How long the message port may take to appear once the modules are loaded, guest time.
inline constexpr std::uint64_t port_patience_ns = 60'000'000'000;

namespace detail {
[[nodiscard]] inline wire::hello make_hello(std::uint64_t start, std::uint64_t mounts, std::uint64_t modules) {
    wire::hello out;
    out.protocol = wire::protocol_version;
    out.start_ns = start;
    out.mounts_ns = mounts;
    out.modules_ns = modules;
    auto const online = ::sysconf(_SC_NPROCESSORS_ONLN);
    out.cpus_online = online > 0 ? static_cast<std::uint32_t>(online) : 0;
    struct sysinfo memory{};
    if (::sysinfo(&memory) == 0)
        out.memory_bytes = std::uint64_t{memory.totalram} * memory.mem_unit;
    struct utsname names{};
    if (::uname(&names) == 0)
        out.release = names.release;
    if (auto line = read_file("/proc/cmdline", 65536)) {
        while (line->ends_with('\n'))
            line->pop_back();
        out.command_line = std::move(*line);
    }
    out.guest_ns = guest_now();
    return out;
}

/// Above every realtime task that a fault plants.
inline constexpr int agent_priority = 50;

/// The agent must get the CPU whatever scheduler is under test; its children start as ordinary tasks.
inline void take_precedence() noexcept {
    sched_param const param{.sched_priority = agent_priority};
    ::sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param);
    ::mlockall(MCL_CURRENT);
}

/// Everything between start and exit message; the code for the exit message.
[[nodiscard]] inline result<std::int32_t> live(session& host, plan& p, std::uint64_t start) {
    using wire::agent_phase;
    host.enter(agent_phase::mounts);
    KTSTR_CHECK(mount_all(host.detail));
    fill_standard_descriptors();
    auto const mounted = guest_now();

    host.enter(agent_phase::modules);
    KTSTR_TRY([[maybe_unused]] auto const loaded, load_modules(modules_path, host.detail));
    auto const modules = guest_now();

    host.enter(agent_phase::port);
    host.detail = message_port_name;
    KTSTR_TRY(auto const device, find_port(message_port_name, port_patience_ns));
    host.detail = device;
    KTSTR_TRY(auto port, unique_fd::open(device.c_str(), O_RDWR));
    host.attach(std::move(port));
    host.send(make_hello(start, mounted, modules));
    install_crash_handler(host.fd());
    note_crash_context(host.at(), host.sequence());
    host.open_kernel_log();
    host.send_kernel_log();
    take_precedence();
    // Without it the kernel keeps no wait_sum; kernels without schedstats have no such file.
    (void)write_control("/proc/sys/kernel/sched_schedstats", "1");

    host.enter(agent_phase::plan);
    host.detail = plan_path;
    KTSTR_TRY(auto const raw, read_file(plan_path, 16 * MiB));
    KTSTR_TRY(p, decode_plan(std::as_bytes(std::span(raw.data(), raw.size()))));

    host.enter(agent_phase::go);
    auto const until = guest_now() + p.go_timeout_ns;
    while (!host.asked().go) {
        if (guest_now() >= until)
            return fail(errc::timeout, "go", p.go_timeout_ns);
        if (host.host_gone())
            return fail(errc::not_found, "host");
        host.pump(100);
    }

    if (auto const note = read_kernel_note())
        host.send(*note);

    host.enter(agent_phase::topology);
    KTSTR_TRY(auto const topology, check_topology(p.topology, kernel_files{}));
    host.send(topology);

    host.enter(agent_phase::scheduler);
    host.send(read_scheduler_state(wire::state_moment::before_run));

    std::int32_t code = 0;
    cgroup_manager groups(std::string(cgroup_mount) + "/" + cgroup_parent);
    {
        cgroup_manager top(cgroup_mount);
        top.enable_controllers("");
        if (auto const made = top.make(cgroup_parent); !made) {
            host.detail = top.detail();
            return std::unexpected(made.error());
        }
        switch (p.mode) {
        case run_mode::scenario:
            for (std::uint32_t i = 0; i < p.repeat && !host.asked().stop && !host.host_gone(); ++i)
                KTSTR_CHECK(run_scenario(p, host, groups));
            break;
        case run_mode::exec:
        case run_mode::shell: {
            if (p.fault.kind != fault_kind::none) {
                crew none;
                fault_helpers helpers;
                inject_fault(p, host, none, groups, helpers);
            }
            KTSTR_TRY(code, p.mode == run_mode::exec ? run_command(p, host) : run_shell(p, host, console_path));
            break;
        }
        }
        (void)top.remove(cgroup_parent, 10);
    }
    host.enter(agent_phase::report);
    host.send(read_scheduler_state(wire::state_moment::after_run));
    return code;
}

/// Says on the kernel log, which the console shows, what the host may never hear on the port.
inline void log_failure(session const& host, error const& e) {
    std::string line = "<3>ktstr agent: phase ";
    line += name_of(host.at());
    line += " failed: ";
    line += e.where;
    line += ": ";
    line += message(e.code);
    line += ", errno " + std::to_string(e.os_errno) + ", value " + std::to_string(e.value);
    if (!host.detail.empty())
        line += ", " + host.detail;
    kmsg_write(line);
}
} // namespace detail

/// The exit code in the exit message when the agent itself failed.
inline constexpr std::int32_t agent_failure_code = 99;

/// The whole life of the agent as pid 1, which leaves the machine at its end. Any other process gets
/// `agent_failure_code` at once and nothing is touched.
[[nodiscard]] inline int agent_main() {
    if (::getpid() != 1)
        return agent_failure_code;
    auto const start = guest_now();
    ::signal(SIGPIPE, SIG_IGN);
    ::umask(022);
    session host;
    plan p;
    auto const code = detail::live(host, p, start);
    if (!code) {
        detail::log_failure(host, code.error());
        auto const& e = code.error();
        if (auto const device = host.fd() < 0 ? find_port(message_port_name, 1'000'000'000) : fail(errc::busy, "port"))
            if (auto port = unique_fd::open(device->c_str(), O_RDWR)) {
                host.attach(std::move(*port));
                host.send(detail::make_hello(start, 0, 0));
                host.open_kernel_log();
            }
        host.send(wire::agent_error{host.at(), static_cast<std::uint32_t>(e.code), e.os_errno, e.value,
                                    std::string(e.where), host.detail});
    }
    host.send_kernel_log();
    host.enter(wire::agent_phase::ending);
    host.send(wire::exit_message{code ? *code : agent_failure_code});
    ::usleep(10'000); // the port only queues: let the device take the last frame
    leave_machine(p.leave);
    return code ? 0 : agent_failure_code;
}

} // namespace ktstr::agent
