// SPDX-License-Identifier: Apache-2.0
/// \file
/// What a worker writes down about itself, in memory it shares with the agent, and the pure bookkeeping of one checkpoint.
#pragma once

#include "ktstr/topo/topology.hpp"
#include "ktstr/wire/wake_histogram.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace ktstr::agent {

/// CPUs a worker keeps books for; higher numbers are counted on the last one.
inline constexpr std::uint32_t tracked_cpus = 256;
static_assert(tracked_cpus >= max_cpus);

/// Work units done on each CPU by everybody: how a worker measures, in work and not in time, how long others ran while
/// it waited. Stolen time does not count in it, whatever the guest's clock says.
struct cpu_board {
    struct alignas(64) line {
        std::atomic<std::uint64_t> units{0};
    };
    std::array<line, tracked_cpus> cpu{};
};

/// Where a worker stands. Written by the worker, read by the agent.
enum class worker_state : std::uint32_t { forked, running, done };

/// One worker's numbers. The worker is the only writer; the agent reads `units` at any time and the rest after `done`.
struct alignas(64) worker_slot {
    std::atomic<worker_state> state{worker_state::forked};
    std::atomic<std::uint64_t> units{0};
    std::uint64_t iterations = 0;
    std::uint64_t start_ns = 0;
    // The agent reads these three while the worker may still write them.
    std::atomic<std::uint64_t> last_ns{0}; ///< Time of the last checkpoint.
    std::atomic<std::uint32_t> last_cpu{0};
    std::atomic<std::uint64_t> last_others{0}; ///< Units of others on `last_cpu` at the last checkpoint.
    std::uint64_t gap_ns = 0, gap_at_ns = 0;
    std::uint32_t gap_cpu = 0;
    std::uint64_t waited_units = 0, waited_at_ns = 0;
    std::uint32_t waited_cpu = 0;
    std::uint64_t migrations = 0;
    std::uint64_t fastest_unit_ps = 0; ///< Least time per unit of any batch, picoseconds; 0 = none measured.
    std::array<std::uint64_t, tracked_cpus> cpu_units{};
    std::uint64_t wakes = 0, wake_max_ns = 0, wake_sum_ns = 0;
    std::array<std::uint32_t, wire::wake_buckets> wake_counts{};
    std::uint64_t cpu_ns = 0, run_delay_ns = 0, slices = 0, wait_ns = 0; ///< Filled at the end.
};

/// Starts the books: nothing done, time `now`, on `cpu`.
inline void begin_books(worker_slot& w, cpu_board const& board, std::uint64_t now, std::uint32_t cpu) noexcept {
    cpu = cpu < tracked_cpus ? cpu : tracked_cpus - 1;
    w.start_ns = now;
    w.last_ns.store(now, std::memory_order_relaxed);
    w.last_cpu.store(cpu, std::memory_order_relaxed);
    w.last_others.store(board.cpu[cpu].units.load(std::memory_order_relaxed), std::memory_order_relaxed);
}

/// What the worker has been missing since its last checkpoint: how a worker that never came back is measured.
struct open_wait {
    std::uint64_t gap_ns = 0;
    std::uint64_t units = 0; ///< Done by others on its CPU meanwhile.
    std::uint32_t cpu = 0;
};

/// The wait that is open at `now`; may be called from the agent while the worker runs.
[[nodiscard]] inline open_wait look_at_wait(worker_slot const& w, cpu_board const& board, std::uint64_t now) noexcept {
    open_wait out;
    auto const last = w.last_ns.load(std::memory_order_relaxed);
    out.cpu = w.last_cpu.load(std::memory_order_relaxed);
    if (last == 0 || out.cpu >= tracked_cpus)
        return out;
    out.gap_ns = now > last ? now - last : 0;
    auto const total = board.cpu[out.cpu].units.load(std::memory_order_relaxed);
    auto const own = std::atomic_ref(const_cast<std::uint64_t&>(w.cpu_units[out.cpu])).load(std::memory_order_relaxed);
    auto const before = w.last_others.load(std::memory_order_relaxed);
    out.units = total > own + before ? total - own - before : 0;
    return out;
}

/// Notes that at `now`, on `cpu`, another `units` units are done since the last checkpoint.
///
/// `slept`: the worker slept by its own will in between, so the time is no gap and no wait.
inline void checkpoint(worker_slot& w, cpu_board& board, std::uint64_t now, std::uint32_t cpu, std::uint64_t units,
                       bool slept = false) noexcept {
    cpu = cpu < tracked_cpus ? cpu : tracked_cpus - 1;
    // What others did since on the CPU we were on: they had it while we wanted it.
    auto const [elapsed, waited, last_cpu] = look_at_wait(w, board, now);
    if (!slept && elapsed > w.gap_ns) {
        w.gap_ns = elapsed;
        w.gap_at_ns = now;
        w.gap_cpu = cpu;
    }
    if (!slept && waited > w.waited_units) {
        w.waited_units = waited;
        w.waited_at_ns = now;
        w.waited_cpu = last_cpu;
    }
    if (units != 0 && !slept) {
        auto const ps = elapsed * 1000 / units;
        if (ps != 0 && (w.fastest_unit_ps == 0 || ps < w.fastest_unit_ps))
            w.fastest_unit_ps = ps;
    }
    if (cpu != last_cpu)
        ++w.migrations;
    std::atomic_ref(w.cpu_units[cpu]).fetch_add(units, std::memory_order_relaxed);
    auto const total = board.cpu[cpu].units.fetch_add(units, std::memory_order_relaxed) + units;
    w.last_others.store(total - w.cpu_units[cpu], std::memory_order_relaxed);
    w.last_cpu.store(cpu, std::memory_order_relaxed);
    w.last_ns.store(now, std::memory_order_relaxed);
    w.units.store(w.units.load(std::memory_order_relaxed) + units, std::memory_order_relaxed);
}

/// Notes that a timed sleep ended `late_ns` after its time.
inline void note_wake(worker_slot& w, std::uint64_t late_ns) noexcept {
    ++w.wakes;
    w.wake_sum_ns += late_ns;
    if (late_ns > w.wake_max_ns)
        w.wake_max_ns = late_ns;
    ++w.wake_counts[wire::wake_bucket(late_ns)];
}

} // namespace ktstr::agent
