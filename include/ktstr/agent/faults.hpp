// SPDX-License-Identifier: Apache-2.0
/// \file
/// Failures made on purpose, as the plan asks, so that every verdict can be seen and tested.
#pragma once

#include "ktstr/agent/cgroup.hpp"
#include "ktstr/agent/crash_handler.hpp"
#include "ktstr/agent/crew.hpp"
#include "ktstr/agent/session.hpp"
#include "ktstr/scenario/plan.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <sched.h>
#include <signal.h>
#include <string>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <vector>

namespace ktstr::agent {

/// Helpers forked by a fault; killed when it goes.
class fault_helpers {
public:
    fault_helpers() = default;
    fault_helpers(fault_helpers const&) = delete;
    fault_helpers& operator=(fault_helpers const&) = delete;
    ~fault_helpers() { kill_all(); }
    /// Forks a process that runs `body` and never returns from it.
    template <class Body>
    pid_t fork_helper(Body body) {
        pid_t const pid = ::fork();
        if (pid == 0) {
            drop_crash_handler();
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            body();
            ::_exit(0);
        }
        if (pid > 0)
            pids_.push_back(pid);
        return pid;
    }
    void kill_all() noexcept {
        for (auto const pid : pids_)
            ::kill(pid, SIGKILL);
        pids_.clear();
    }

private:
    std::vector<pid_t> pids_;
};

namespace detail {
/// Spins in SCHED_FIFO on `cpu` for ever.
[[noreturn]] inline void spin_realtime(std::uint32_t cpu) noexcept {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    ::sched_setaffinity(0, sizeof set, &set);
    sched_param const param{.sched_priority = 1};
    ::sched_setscheduler(0, SCHED_FIFO, &param);
    for (;;)
        asm volatile("");
}

/// Touches ever more memory until somebody kills it.
[[noreturn]] inline void eat_memory() noexcept {
    constexpr std::size_t step = 16U << 20;
    for (;;) {
        void* const at = ::mmap(nullptr, step, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at == MAP_FAILED)
            continue;
        auto* const p = static_cast<char volatile*>(at);
        for (std::size_t i = 0; i < step; i += 4096)
            p[i] = 1;
    }
}
} // namespace detail

/// Carries out the plan's fault. `workers` and `groups` are those of the running scenario (empty in other modes).
template <CgroupTree Groups>
void inject_fault(plan const& p, session& host, crew& workers, Groups& groups, fault_helpers& helpers) {
    auto const& f = p.fault;
    auto const victim = [&]() -> pid_t {
        for (auto const& m : workers.members())
            if (m.cgroup == f.cgroup && m.index == f.worker && !m.reaped)
                return m.pid;
        return -1;
    }();
    host.log(std::string("fault: ") + std::string(name_of(f.kind)));
    switch (f.kind) {
    case fault_kind::none: break;
    case fault_kind::guest_panic:
        (void)write_control("/proc/sys/kernel/sysrq", "1");
        (void)write_control("/proc/sysrq-trigger", "c");
        break;
    case fault_kind::agent_abort: std::abort();
    case fault_kind::out_of_memory: {
        // It starts in its cgroup, whose limit makes the end come soon; without a limit the machine's own has to do.
        if (!p.cgroups.empty())
            (void)groups.set(p.cgroups[f.cgroup].name, "memory.max", "67108864", "memory.max");
        helpers.fork_helper([&] {
            if (!p.cgroups.empty())
                (void)groups.move(p.cgroups[f.cgroup].name, ::getpid());
            detail::eat_memory();
        });
        break;
    }
    case fault_kind::hang: {
        sigset_t all;
        ::sigfillset(&all);
        ::sigprocmask(SIG_BLOCK, &all, nullptr);
        for (;;)
            asm volatile("");
    }
    case fault_kind::port_garbage: {
        auto state = p.seed + 1;
        std::vector<std::byte> rubbish(4096);
        for (int round = 0; round < 16; ++round) {
            for (auto& b : rubbish)
                b = static_cast<std::byte>((state = state * 6364136223846793005U + 1442695040888963407U) >> 56);
            std::memcpy(rubbish.data() + 100, wire::frame_magic.data(), wire::frame_magic.size());
            (void)write_all(host.fd(), rubbish);
        }
        break;
    }
    case fault_kind::stop_worker:
        if (victim > 0)
            ::kill(victim, SIGSTOP);
        break;
    case fault_kind::starve_weight:
        if (victim > 0 && groups.make("starved")) {
            if (!p.cgroups[f.cgroup].cpus.empty())
                (void)groups.set("starved", "cpuset.cpus", cpu_list_text(p.cgroups[f.cgroup].cpus), "cpuset.cpus");
            (void)groups.set("starved", "cpu.weight", "1", "cpu.weight");
            // Weight 1 on one CPU is not little against cgroups that spread 100 over many; idle is.
            (void)groups.set("starved", "cpu.idle", "1", "cpu.idle");
            (void)groups.move("starved", victim);
        }
        break;
    case fault_kind::realtime_hog: {
        auto cpus = p.cgroups.empty() ? std::vector<std::uint32_t>{} : p.cgroups[f.cgroup].cpus;
        if (cpus.empty())
            for (std::uint32_t c = 0; c < cpus_of(p.topology); ++c)
                cpus.push_back(c);
        for (auto const c : cpus)
            helpers.fork_helper([c] { detail::spin_realtime(c); });
        break;
    }
    case fault_kind::leave_cpuset:
        if (victim > 0) {
            // Not into the parent: a cgroup that hands controllers on takes no process.
            if (groups.make("outside"))
                (void)groups.move("outside", victim);
            cpu_set_t set;
            CPU_ZERO(&set);
            for (std::size_t c = 0; c < CPU_SETSIZE; ++c)
                CPU_SET(c, &set);
            // Pin it to the first CPU that its cgroup does not have, so that it is seen there.
            auto const& own = p.cgroups[f.cgroup].cpus;
            for (std::uint32_t c = 0; c < cpus_of(p.topology); ++c)
                if (!own.empty() && std::find(own.begin(), own.end(), c) == own.end()) {
                    CPU_ZERO(&set);
                    CPU_SET(c, &set);
                    break;
                }
            ::sched_setaffinity(victim, sizeof set, &set);
        }
        break;
    case fault_kind::worker_exit:
        if (victim > 0)
            ::kill(victim, SIGTERM);
        break;
    case fault_kind::oops_line:
        kmsg_write("<1>BUG: unable to handle page fault for address: 0000000000000000 (planted)");
        break;
    }
}

} // namespace ktstr::agent
