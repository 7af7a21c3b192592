// SPDX-License-Identifier: Apache-2.0
/// \file
/// The worker processes of a scenario: two-phase start inside their cgroups, stop, and what became of each.
#pragma once

#include "ktstr/agent/cgroup.hpp"
#include "ktstr/agent/clone_into.hpp"
#include "ktstr/agent/worker.hpp"
#include "ktstr/scenario/plan.hpp"
#include "ktstr/sys/fd.hpp"
#include "ktstr/sys/mapping.hpp"
#include "ktstr/wire/messages.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <new>
#include <signal.h>
#include <span>
#include <string>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace ktstr::agent {

/// Owns the workers. Whatever happens, none outlives it.
///
/// Phase one: `spawn` forks each worker into its cgroup (or moves it there), where it blocks on a pipe. Phase two: `release` lets
/// all of them go at once, so that no worker executes an instruction of its work outside its cgroup. One thread.
class crew {
public:
    /// One worker process.
    struct member {
        std::uint32_t cgroup = 0;
        std::uint32_t index = 0;
        pid_t pid = -1;
        bool reaped = false;
        bool killed = false;        ///< We killed it because it did not stop.
        int status = 0;             ///< From waitpid, once reaped.
        task_schedstat last_stat{}; ///< Read from outside before a kill.
        open_wait open{};           ///< What it was missing when the stop came.
    };

    crew() = default;
    crew(crew const&) = delete;
    crew& operator=(crew const&) = delete;
    ~crew() { kill_all(); }

    /// Forks every worker of `p` into its cgroup. `child_setup()` runs first in each child.
    template <CgroupTree Groups, class Setup>
    [[nodiscard]] result<> spawn(plan const& p, Groups& groups, Setup child_setup) {
        std::size_t total = 0;
        for (auto const& g : p.cgroups) {
            total += g.workers;
            work_.push_back(g.work);
        }
        KTSTR_TRY(memory_, mapping::map(sizeof(shared) + total * sizeof(worker_slot), PROT_READ | PROT_WRITE,
                                        MAP_SHARED | MAP_ANONYMOUS));
        shared_ = new (memory_.data()) shared;
        auto* const first = memory_.data() + sizeof(shared);
        for (std::size_t i = 0; i < total; ++i)
            slots_.push_back(new (first + i * sizeof(worker_slot)) worker_slot);

        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0)
            return os_fail("crew.pipe");
        unique_fd start(ends[0]);
        hold_ = unique_fd(ends[1]);
        for (std::uint32_t g = 0; g < p.cgroups.size(); ++g) {
            auto folder = groups.open(p.cgroups[g].name);
            for (std::uint32_t i = 0; i < p.cgroups[g].workers; ++i) {
                auto const slot = members_.size();
                auto born = folder ? fork_into(folder.get()) : fail(errc::unsupported, "clone3");
                bool const inside = born.has_value();
                if (!born) {
                    folder.reset(); // a kernel or a tree without it: fork, then move
                    born = ::fork();
                }
                if (*born < 0)
                    return os_fail("crew.fork", slot);
                if (*born == 0) {
                    hold_.reset();
                    child_setup();
                    name_worker(p.cgroups[g].name, i);
                    child(p.cgroups[g].work, *slots_[slot], start.get(), p.seed + slot);
                }
                members_.push_back({.cgroup = g, .index = i, .pid = *born});
                if (!inside)
                    KTSTR_CHECK(groups.move(p.cgroups[g].name, *born));
            }
        }
        return {};
    }

    /// Lets every worker go.
    void release() noexcept {
        shared_->go.store(true, std::memory_order_release);
        hold_.reset();
    }

    /// Collects children that ended; whether one of ours did that had not been asked to.
    bool reap() noexcept {
        bool early = false;
        for (;;) {
            int status = 0;
            pid_t const pid = ::waitpid(-1, &status, WNOHANG);
            if (pid <= 0)
                return early;
            for (std::size_t i = 0; i < members_.size(); ++i)
                if (members_[i].pid == pid) {
                    members_[i].reaped = true;
                    members_[i].status = status;
                    early |= slots_[i]->state.load(std::memory_order_acquire) != worker_state::done;
                }
        }
    }

    /// Asks every worker to stop at its next look at the flag.
    void request_stop() noexcept {
        auto const now = detail::now_ns();
        for (std::size_t i = 0; i < members_.size(); ++i)
            if (slots_[i]->state.load(std::memory_order_acquire) == worker_state::running)
                members_[i].open = look_at_wait(*slots_[i], shared_->board, now);
        stop_ns_ = now;
        shared_->stop.store(true, std::memory_order_relaxed);
    }

    /// Whether every worker has ended.
    [[nodiscard]] bool all_reaped() const noexcept {
        for (auto const& m : members_)
            if (!m.reaped)
                return false;
        return true;
    }

    /// Kills what is left and waits for it.
    void kill_all() noexcept {
        for (auto& m : members_)
            if (!m.reaped) {
                m.killed = true;
                m.last_stat = read_schedstat(m.pid);
                ::kill(m.pid, SIGKILL);
                while (::waitpid(m.pid, &m.status, 0) < 0 && errno == EINTR) {
                }
                m.reaped = true;
            }
    }

    [[nodiscard]] std::span<member const> members() const noexcept { return members_; }
    /// The work done so far by each worker, in spawn order.
    [[nodiscard]] std::vector<std::uint64_t> units() const {
        std::vector<std::uint64_t> out;
        for (auto const* const slot : slots_)
            out.push_back(slot->units.load(std::memory_order_relaxed));
        return out;
    }
    /// Whether any worker has begun its work.
    [[nodiscard]] bool any_running() const noexcept {
        for (auto const* const slot : slots_)
            if (slot->state.load(std::memory_order_acquire) != worker_state::forked)
                return true;
        return false;
    }

    /// What worker `i` has to say. Its numbers are complete only when it finished.
    [[nodiscard]] wire::worker_report report(std::size_t i) const {
        auto const& m = members_[i];
        auto const& s = *slots_[i];
        wire::worker_report out;
        out.cgroup = m.cgroup;
        out.index = m.index;
        out.pid = m.pid;
        bool const done = s.state.load(std::memory_order_acquire) == worker_state::done;
        if (m.killed) {
            out.end = wire::worker_end::killed_after_stop;
            out.end_code = SIGKILL;
        } else if (WIFSIGNALED(m.status)) {
            out.end = wire::worker_end::signaled;
            out.end_code = WTERMSIG(m.status);
        } else {
            out.end = done ? wire::worker_end::finished : wire::worker_end::exited_early;
            out.end_code = WEXITSTATUS(m.status);
        }
        out.work_units = s.units.load(std::memory_order_relaxed);
        out.iterations = s.iterations;
        out.wall_ns = s.last_ns.load(std::memory_order_relaxed) - s.start_ns;
        out.cpu_ns = done ? s.cpu_ns : m.last_stat.cpu_ns;
        out.run_delay_ns = done ? s.run_delay_ns : m.last_stat.run_delay_ns;
        out.time_slices = done ? s.slices : m.last_stat.slices;
        out.wait_ns = s.wait_ns;
        out.gap_ns = s.gap_ns, out.gap_at_ns = s.gap_at_ns, out.gap_cpu = s.gap_cpu;
        out.waited_units = s.waited_units, out.waited_at_ns = s.waited_at_ns, out.waited_cpu = s.waited_cpu;
        // A worker of a type that never sleeps was waiting when the stop came, for ever perhaps.
        if (always_runnable(work_[m.cgroup])) {
            if (m.open.gap_ns > out.gap_ns)
                out.gap_ns = m.open.gap_ns, out.gap_at_ns = stop_ns_, out.gap_cpu = m.open.cpu;
            if (m.open.units > out.waited_units)
                out.waited_units = m.open.units, out.waited_at_ns = stop_ns_, out.waited_cpu = m.open.cpu;
        }
        out.fastest_unit_ps = s.fastest_unit_ps;
        out.migrations = s.migrations;
        std::size_t cpus = tracked_cpus;
        while (cpus > 0 && s.cpu_units[cpus - 1] == 0)
            --cpus;
        out.cpu_units.assign(s.cpu_units.begin(), s.cpu_units.begin() + static_cast<std::ptrdiff_t>(cpus));
        out.cpus_used.assign((cpus + 63) / 64, 0);
        for (std::size_t c = 0; c < cpus; ++c)
            if (s.cpu_units[c] != 0)
                out.cpus_used[c / 64] |= std::uint64_t{1} << (c % 64);
        out.wakes = s.wakes, out.wake_max_ns = s.wake_max_ns, out.wake_sum_ns = s.wake_sum_ns;
        std::size_t buckets = s.wake_counts.size();
        while (buckets > 0 && s.wake_counts[buckets - 1] == 0)
            --buckets;
        out.wake_histogram.assign(s.wake_counts.begin(), s.wake_counts.begin() + static_cast<std::ptrdiff_t>(buckets));
        return out;
    }

private:
    struct shared {
        std::atomic<bool> go{false};
        std::atomic<bool> stop{false};
        cpu_board board;
    };
    static_assert(sizeof(shared) % alignof(worker_slot) == 0);

    /// "cg_0/3": what ps, drgn and a scheduler's trace call the worker. The kernel keeps 15 bytes; the number counts most.
    static void name_worker(std::string const& cgroup, std::uint32_t index) noexcept {
        char number[12], name[28];
        std::snprintf(number, sizeof number, "/%u", index);
        std::snprintf(name, sizeof name, "%.*s%s", static_cast<int>(15 - std::min<std::size_t>(std::strlen(number), 15)),
                      cgroup.c_str(), number);
        ::prctl(PR_SET_NAME, name);
    }

    [[noreturn]] void child(work_type work, worker_slot& slot, int start, std::uint64_t seed) noexcept {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (int const s : {SIGTERM, SIGINT, SIGHUP})
            ::signal(s, SIG_DFL);
        char nothing = 0;
        while (::read(start, &nothing, 1) < 0 && errno == EINTR) {
        }
        if (!shared_->go.load(std::memory_order_acquire))
            ::_exit(1);
        run_worker(work, slot, shared_->board, shared_->stop, seed);
        ::_exit(0);
    }

    mapping memory_;
    shared* shared_ = nullptr;
    std::vector<worker_slot*> slots_;
    std::vector<member> members_;
    std::vector<work_type> work_; ///< By cgroup.
    std::uint64_t stop_ns_ = 0;
    unique_fd hold_;
};

} // namespace ktstr::agent
