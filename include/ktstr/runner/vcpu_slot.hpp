// SPDX-License-Identifier: Apache-2.0
/// \file
/// One vCPU with its thread, its statistics and how its loop ended: the per-vCPU control block of a runner.
#pragma once

#include "ktstr/base/clock.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/hv/exit_policy.hpp"
#include "ktstr/hv/vcpu.hpp"
#include "ktstr/run/control.hpp"
#include "ktstr/run/death.hpp"
#include "ktstr/run/exit_stats.hpp"
#include "ktstr/run/kick.hpp"
#include "ktstr/run/parker.hpp"
#include "ktstr/run/run_loop.hpp"
#include "ktstr/sys/schedstat.hpp"
#include "ktstr/sys/thread.hpp"

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>
#include <utility>

namespace ktstr {

/// Owned by the supervisor; the vCPU object is only used by its thread while `running()`. Its run page is unmapped
/// only with the slot, after the join, so a kick from outside never touches a mapping that is gone.
template <Vcpu Cpu, ExitStats Stats>
class alignas(64) vcpu_slot {
public:
    Cpu cpu{};

    /// Starts the thread. `exits`, `control` and `clock` outlive it; `wake` is signalled when the loop ends.
    /// `park` is where a freeze stops it.
    template <ExitPolicy Exits, Clock Time, Parker Park = never_parks>
    [[nodiscard]] result<> start(Exits& exits, run_control& control, Time const& clock, vcpu_index index, int wake,
                                 Park park = {}) {
        running_.store(true, std::memory_order_release);
        char name[16];
        std::snprintf(name, sizeof name, "vcpu-%u", index.raw);
        auto begun = thread::start(name, [this, &exits, &control, &clock, index, wake, park]() mutable noexcept {
            tid_.store(this_thread_id(), std::memory_order_release);
            death_watch const watch(control, wake);
            accept_kicks();
            if constexpr (Stats::timed) {
                timed_exits<Exits, Stats, Time> timed(exits, stats_, clock);
                end_ = run_loop(cpu, timed, stats_, control, index, park);
            } else {
                end_ = run_loop(cpu, exits, stats_, control, index, park);
            }
            park.ended();
            if (auto const service = read_thread_service(this_thread_id()))
                final_service_ = *service;
            ::getrusage(RUSAGE_THREAD, &usage_);
            running_.store(false, std::memory_order_release);
            signal(wake);
        });
        if (!begun) {
            running_.store(false, std::memory_order_release);
            return std::unexpected(begun.error());
        }
        thread_ = std::move(*begun);
        return {};
    }

    /// Whether the thread is still in its loop.
    [[nodiscard]] bool running() const noexcept { return running_.load(std::memory_order_acquire); }
    [[nodiscard]] pthread_t handle() const noexcept { return thread_.handle(); }
    /// The kernel's id of the thread; 0 until it has begun.
    [[nodiscard]] pid_t tid() const noexcept { return tid_.load(std::memory_order_acquire); }
    void join() noexcept { thread_.join(); }

    /// CPU service of the thread so far, or in all once it ended.
    [[nodiscard]] thread_service service() const noexcept {
        if (running()) {
            auto const tid = tid_.load(std::memory_order_acquire);
            if (tid != 0) {
                if (auto const now = read_thread_service(tid))
                    return *now;
            }
            return {};
        }
        return final_service_;
    }
    /// Valid once the thread has been joined.
    [[nodiscard]] loop_end const& end() const noexcept { return end_; }
    [[nodiscard]] Stats const& stats() const noexcept { return stats_; }
    /// User and system time of the thread, once it has ended.
    [[nodiscard]] rusage const& usage() const noexcept { return usage_; }

private:
    static void signal(int wake) noexcept {
        std::uint64_t const one = 1;
        [[maybe_unused]] auto const ignored = ::write(wake, &one, sizeof one);
    }

    thread thread_;
    std::atomic<bool> running_{false};
    std::atomic<pid_t> tid_{0};
    Stats stats_{};
    loop_end end_{};
    thread_service final_service_{};
    rusage usage_{};
};

} // namespace ktstr
