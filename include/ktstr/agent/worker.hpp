// SPDX-License-Identifier: Apache-2.0
/// \file
/// What runs inside a worker process between its go and the stop flag.
#pragma once

#include "ktstr/agent/schedstat.hpp"
#include "ktstr/agent/telemetry.hpp"
#include "ktstr/base/clock.hpp"
#include "ktstr/scenario/plan.hpp"

#include <atomic>
#include <cstdint>
#include <ctime>
#include <sched.h>

namespace ktstr::agent {

/// One unit of work: a chain of 2048 dependent multiplications that no compiler may shorten.
inline void spin_unit(std::uint64_t& seed) noexcept {
    auto value = seed;
    for (int i = 0; i < 2048; ++i) {
        value = value * 6364136223846793005U + 1442695040888963407U;
        asm volatile("" : "+r"(value));
    }
    seed = value;
}

/// CPU time of the calling process in nanoseconds.
[[nodiscard]] inline std::uint64_t own_cpu_ns() noexcept {
    timespec ts{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return static_cast<std::uint64_t>(ts.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(ts.tv_nsec);
}

/// The CPU the caller is on; 0 when the kernel does not say.
[[nodiscard]] inline std::uint32_t current_cpu() noexcept {
    int const cpu = ::sched_getcpu();
    return cpu < 0 ? 0 : static_cast<std::uint32_t>(cpu);
}

/// Units between two looks at the clock.
inline constexpr std::uint64_t units_per_checkpoint = 8;

namespace detail {
[[nodiscard]] inline std::uint64_t now_ns() noexcept { return static_cast<std::uint64_t>(monotonic_clock{}.now().raw); }

/// Works for about `ns` of time, checkpoint by checkpoint.
inline void work_for(worker_slot& slot, cpu_board& board, std::uint64_t& seed, std::uint64_t ns,
                     std::atomic<bool> const& stop) noexcept {
    auto const until = now_ns() + ns;
    do {
        for (std::uint64_t i = 0; i < units_per_checkpoint; ++i)
            spin_unit(seed);
        checkpoint(slot, board, now_ns(), current_cpu(), units_per_checkpoint);
    } while (!stop.load(std::memory_order_relaxed) && now_ns() < until);
}

/// Sleeps `ns` and notes how late the wake was.
inline void sleep_for(worker_slot& slot, cpu_board& board, std::uint64_t ns) noexcept {
    auto const due = now_ns() + ns;
    timespec const at{static_cast<time_t>(due / 1'000'000'000U), static_cast<long>(due % 1'000'000'000U)};
    while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr) != 0) {
    }
    auto const now = now_ns();
    note_wake(slot, now > due ? now - due : 0);
    checkpoint(slot, board, now, current_cpu(), 0, true);
}
} // namespace detail

/// Works as `work` says until `stop`, then fills in what the kernel accounted and marks the slot done.
/// Runs in the worker's own process; `slot` and `board` are shared memory.
inline void run_worker(work_type work, worker_slot& slot, cpu_board& board, std::atomic<bool> const& stop,
                       std::uint64_t seed) noexcept {
    auto const stat_before = read_schedstat(0);
    auto const cpu_before = own_cpu_ns();
    auto const wait_before = read_wait_sum(0);
    begin_books(slot, board, detail::now_ns(), current_cpu());
    slot.state.store(worker_state::running, std::memory_order_release);
    while (!stop.load(std::memory_order_relaxed)) {
        ++slot.iterations;
        switch (work) {
        case work_type::spin: {
            for (std::uint64_t i = 0; i < units_per_checkpoint; ++i)
                spin_unit(seed);
            checkpoint(slot, board, detail::now_ns(), current_cpu(), units_per_checkpoint);
            break;
        }
        case work_type::yield: {
            spin_unit(seed);
            checkpoint(slot, board, detail::now_ns(), current_cpu(), 1);
            ::sched_yield();
            break;
        }
        case work_type::mixed: {
            for (int round = 0; round < 16 && !stop.load(std::memory_order_relaxed); ++round) {
                for (std::uint64_t i = 0; i < units_per_checkpoint; ++i)
                    spin_unit(seed);
                checkpoint(slot, board, detail::now_ns(), current_cpu(), units_per_checkpoint);
            }
            ::sched_yield();
            break;
        }
        case work_type::sleep_wake: {
            detail::work_for(slot, board, seed, 1'000'000, stop);
            detail::sleep_for(slot, board, 1'000'000);
            break;
        }
        case work_type::bursty: {
            detail::work_for(slot, board, seed, 50'000'000, stop);
            detail::sleep_for(slot, board, 100'000'000);
            break;
        }
        }
    }
    auto const stat = read_schedstat(0);
    slot.cpu_ns = own_cpu_ns() - cpu_before;
    slot.run_delay_ns = stat.run_delay_ns - stat_before.run_delay_ns;
    slot.slices = stat.slices - stat_before.slices;
    slot.wait_ns = read_wait_sum(0) - wait_before;
    slot.state.store(worker_state::done, std::memory_order_release);
}

} // namespace ktstr::agent
