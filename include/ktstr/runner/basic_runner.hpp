// SPDX-License-Identifier: Apache-2.0
/// \file
/// The machine: memory, vCPUs, their threads, and the wait for its end, specialised by one traits bag.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/freeze/gate.hpp"
#include "ktstr/freeze/policy.hpp"
#include "ktstr/mem/mmap_memory.hpp"
#include "ktstr/mem/region.hpp"
#include "ktstr/run/control.hpp"
#include "ktstr/run/deadline.hpp"
#include "ktstr/run/exit_stats.hpp"
#include "ktstr/run/kick.hpp"
#include "ktstr/run/run_loop.hpp"
#include "ktstr/runner/checks.hpp"
#include "ktstr/runner/vcpu_slot.hpp"
#include "ktstr/sys/fd.hpp"
#include "ktstr/sys/schedstat.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <poll.h>
#include <span>
#include <utility>
#include <vector>

namespace ktstr {

/// The shape of a machine before it exists.
struct machine_shape {
    std::vector<ram_region> ram;          ///< As `lay_out_ram` gives it; must not be empty.
    std::vector<std::uint32_t> vcpu_ids;  ///< Hardware id of each vCPU (APIC id); the first is the BSP. Not empty.
};

/// How a whole machine ended.
struct runner_end {
    bsp_exit_reason bsp = bsp_exit_reason::external_kill;
    stop_cause cause = stop_cause::none; ///< Who asked for the end first.
    guest_end end = guest_end::none;     ///< The way the guest took, when it ended itself.
    vcpu_index by{};                     ///< The vCPU that saw it.
    std::int32_t os_errno = 0;           ///< Of the failed KVM_RUN when `cause` is `run_error`.
};

/// One machine. Used by one thread, the supervisor; only `request_stop` may be called from others.
///
/// Order of use: `make`, prepare memory and registers, `start`, `wait` (as often as wanted), `stop`. The destructor
/// stops. Kernel objects go in the order vCPUs, VM, memory.
template <class Traits>
class basic_runner {
    static_assert(explain_runner_traits<Traits>());

public:
    using traits = Traits;
    using hypervisor_type = typename Traits::hypervisor;
    using vm_type = typename hypervisor_type::vm_type;
    using vcpu_type = typename vm_type::vcpu_type;
    using slot_type = vcpu_slot<vcpu_type, typename Traits::stats>;

    using exits_type = typename Traits::exits;
    using freeze_type = typename Traits::freeze;
    using point_type = typename freeze_type::point_type;
    static constexpr bool freezes = freeze_type::enabled;

    /// Makes the machine: RAM mapped, vCPUs created, no thread yet.
    [[nodiscard]] static result<basic_runner> make(machine_shape shape,
                                                   typename hypervisor_type::vm_options const& options = {}) {
        if (shape.vcpu_ids.empty())
            return fail(errc::invalid_argument, "machine.vcpus");
        KTSTR_CHECK(install_kick_handler());
        KTSTR_TRY(auto hypervisor, hypervisor_type::open());
        KTSTR_TRY(auto vm, hypervisor.create_vm(options));
        KTSTR_TRY(auto memory, mmap_memory::make<typename Traits::ram>(std::move(shape.ram)));
        std::uint32_t slot = 0;
        for (auto const& r : memory.regions())
            KTSTR_CHECK(vm.map(slot++, r.range.start, std::span(memory.host(r), r.range.size.raw)));
        KTSTR_TRY(auto wake, unique_fd::eventfd());
        auto parts = std::make_unique<state>(std::move(hypervisor), std::move(vm), std::move(memory), std::move(wake));
        parts->slots = std::make_unique<slot_type[]>(shape.vcpu_ids.size());
        parts->count = shape.vcpu_ids.size();
        for (std::size_t i = 0; i < parts->count; ++i) {
            auto const index = vcpu_index{static_cast<std::uint32_t>(i)};
            KTSTR_TRY(parts->slots[i].cpu, parts->vm.create_vcpu(index, shape.vcpu_ids[i]));
        }
        if constexpr (freezes) {
            KTSTR_TRY(parts->still.all, freeze_type::rendezvous_type::make(parts->count + max_workers, parts->control));
            // A place that nobody takes counts as a thread that has ended.
            for (std::size_t i = 0; i < max_workers; ++i)
                parts->still.all->point(parts->count + i).ended();
        }
        return basic_runner(std::move(parts));
    }

    basic_runner(basic_runner&&) noexcept = default;
    basic_runner& operator=(basic_runner&&) = delete;
    ~basic_runner() {
        if (state_)
            static_cast<void>(stop(stop_cause::supervisor));
    }

    [[nodiscard]] mmap_memory& memory() noexcept { return state_->memory; }
    [[nodiscard]] hypervisor_type& hypervisor() noexcept { return state_->hypervisor; }
    [[nodiscard]] vm_type& vm() noexcept { return state_->vm; }
    [[nodiscard]] std::span<slot_type> vcpus() noexcept { return {state_->slots.get(), state_->count}; }
    [[nodiscard]] vcpu_type& vcpu(std::size_t index) noexcept { return state_->slots[index].cpu; }
    [[nodiscard]] typename Traits::sink& sink() noexcept { return state_->sink; }
    [[nodiscard]] typename Traits::log& log() noexcept { return state_->log; }
    [[nodiscard]] run_control& control() noexcept { return state_->control; }
    /// Readable whenever a vCPU thread ended: for the supervisor's own poll set.
    [[nodiscard]] int wake_fd() const noexcept { return state_->wake.get(); }

    /// Starts every vCPU's thread. `exits` answers every exit of every vCPU; it outlives the run. On failure the threads
    /// that were started are stopped again.
    [[nodiscard]] result<> start(exits_type& exits) {
        for (std::size_t i = 0; i < state_->count; ++i) {
            auto begun = state_->slots[i].start(exits, state_->control, state_->clock,
                                                vcpu_index{static_cast<std::uint32_t>(i)}, state_->wake.get(), point(i));
            if (!begun) {
                static_cast<void>(stop(stop_cause::supervisor));
                return begun;
            }
        }
        return {};
    }

    /// Asks the machine to end. From any thread and from signal handlers; the supervisor's next wait does the rest.
    void request_stop(stop_cause cause) noexcept {
        state_->control.request_stop(cause);
        std::uint64_t const one = 1;
        [[maybe_unused]] auto const ignored = ::write(state_->wake.get(), &one, sizeof one);
    }

    /// Makes the supervisor's poll of `wake_fd` return. From any thread.
    void nudge() noexcept {
        std::uint64_t const one = 1;
        [[maybe_unused]] auto const ignored = ::write(state_->wake.get(), &one, sizeof one);
    }

    /// Whether somebody asked for the end.
    [[nodiscard]] bool stopping() const noexcept { return state_->control.stopping(); }

    /// Waits until the machine is asked to end or `timeout` passed; true in the first case.
    [[nodiscard]] bool wait(nanos timeout) noexcept {
        auto const until = state_->clock.now() + timeout;
        while (!state_->control.stopping()) {
            auto const left = until - state_->clock.now();
            if (left.raw <= 0)
                return false;
            pollfd p{state_->wake.get(), POLLIN, 0};
            ::poll(&p, 1, static_cast<int>(left.raw / 1'000'000) + 1);
            drain_wake();
        }
        return true;
    }

    /// Runs the machine from start to end: until the guest ends it, or `limit` expires.
    [[nodiscard]] result<runner_end> run(exits_type& exits, deadline limit) {
        KTSTR_CHECK(start(exits));
        for (;;) {
            auto const now = state_->clock.now();
            if (limit.phase(now) == deadline_phase::expired)
                return stop(stop_cause::deadline);
            if (wait(limit.next_change(now) - now))
                return stop(stop_cause::supervisor);
        }
    }

    /// Ends the machine and joins every thread: kicks at once and again every 10 ms. `errc::timeout` with the index of
    /// a vCPU that does not leave the guest within 30 s; it keeps being kicked by the destructor.
    [[nodiscard]] result<runner_end> stop(stop_cause cause) noexcept {
        auto& s = *state_;
        s.control.request_stop(cause);
        auto const give_up = s.clock.now() + seconds(30);
        for (;;) {
            std::size_t hung = s.count;
            for (std::size_t i = 0; i < s.count; ++i) {
                if (!s.slots[i].running())
                    continue;
                hung = i;
                kick(s.slots[i].cpu, s.slots[i].handle());
            }
            if (hung == s.count)
                break;
            if (s.clock.now() >= give_up)
                return fail(errc::timeout, "vcpu.stop", hung);
            pollfd p{s.wake.get(), POLLIN, 0};
            ::poll(&p, 1, 10);
            drain_wake();
        }
        for (auto& slot : vcpus())
            slot.join();
        runner_end end{s.slots[0].end().reason, s.control.cause(), s.control.end(), s.control.ended_by(), 0};
        for (auto const& slot : vcpus()) {
            if (slot.end().os_errno != 0)
                end.os_errno = slot.end().os_errno;
        }
        return end;
    }

    /// A place in every freeze for a worker: a thread of the machine that writes guest memory and is no vCPU. It is kicked
    /// through the eventfd `kick` (borrowed). Before `start`; at most `max_workers`.
    [[nodiscard]] result<point_type> add_worker(int kick)
        requires freezes
    {
        auto& s = *state_;
        if (s.still.workers == max_workers)
            return fail(errc::no_space, "runner.workers", max_workers);
        s.still.kick[s.still.workers] = kick;
        auto out = s.still.all->point(s.count + s.still.workers++);
        out.entering();
        return out;
    }

    /// Freezes the machine: every vCPU and every worker. From any one thread that is none of them, and that does not
    /// itself write guest memory meanwhile. `errc::busy` while a freeze is held, `errc::interrupted` when the machine ends.
    /// Threads that do not answer in time are named in the report, and the gate is held all the same.
    [[nodiscard]] result<freeze_gate<basic_runner>> freeze(freeze_options const& how = {})
        requires freezes
    {
        auto& s = *state_;
        auto& all = *s.still.all;
        // A machine that is over stands still by itself; one that is about to end is in nobody's hands.
        auto const ending = [&] {
            for (std::size_t i = 0; i < s.count && s.control.stopping(); ++i)
                if (all.state(i).status != thread_status::dead)
                    return true;
            return false;
        };
        if (ending())
            return fail(errc::interrupted, "freeze.machine_ends");
        if (!all.claim())
            return fail(errc::busy, "freeze.held", all.generation());
        freeze_report report;
        report.generation = all.generation();
        report.requested = s.clock.now();
        auto const until = report.requested + how.timeout;
        auto const kick = [&s](std::size_t i) noexcept { kick_thread(s, i); };
        auto step = all.quiesce(kick, until, s.clock);
        if (step == freeze_step::reached) {
            report.quiesced = s.clock.now();
            if (how.hold_clocks)
                s.still.clocks.note(s.vm);
        }
        s.still.hold_clocks = how.hold_clocks && how.park;
        if (step != freeze_step::stopping && (how.park || step != freeze_step::reached)) {
            bool const noted = step == freeze_step::reached;
            step = all.park(kick, until, s.clock);
            if (step == freeze_step::reached)
                report.parked = s.clock.now();
            if (!noted) {
                report.quiesced = report.parked;
                if (how.hold_clocks)
                    s.still.clocks.note(s.vm);
            }
        }
        if (step == freeze_step::stopping) {
            static_cast<void>(end_freeze());
            return fail(errc::interrupted, "freeze.machine_ends");
        }
        if (step == freeze_step::timed_out) {
            s.still.hold_clocks = false; // somebody may still run by them
            for (std::uint32_t i = 0; i < all.threads(); ++i)
                if (auto const at = all.state(i); !at.settled(all.generation()))
                    report.missing.push_back({i, i >= s.count, at.status == thread_status::running});
        }
        if (s.still.hold_clocks)
            report.clocks = s.still.clocks.holdable(each_vcpu(s));
        return freeze_gate<basic_runner>(*this, std::move(report));
    }
    /// Whether somebody holds a freeze.
    [[nodiscard]] bool frozen() const noexcept
        requires freezes
    {
        return state_->still.all->held();
    }

private:
    friend class freeze_gate<basic_runner>;
    static constexpr std::size_t max_workers = 4;

    template <class Freeze>
    struct still_parts {};
    template <class Freeze>
        requires Freeze::enabled
    struct still_parts<Freeze> {
        std::unique_ptr<typename Freeze::rendezvous_type> all;
        std::array<int, max_workers> kick{};
        std::size_t workers = 0;
        typename Traits::clocks clocks{};
        bool hold_clocks = false;
    };

    struct state {
        state(hypervisor_type h, vm_type v, mmap_memory m, unique_fd w) noexcept
            : hypervisor(std::move(h)), memory(std::move(m)), vm(std::move(v)), wake(std::move(w)) {}
        hypervisor_type hypervisor;
        mmap_memory memory;
        vm_type vm;
        unique_fd wake;
        run_control control;
        [[no_unique_address]] still_parts<freeze_type> still;
        [[no_unique_address]] typename Traits::sink sink{};
        [[no_unique_address]] typename Traits::log log{};
        [[no_unique_address]] typename Traits::clock clock{};
        std::unique_ptr<slot_type[]> slots;
        std::size_t count = 0;
    };

    [[nodiscard]] point_type point(std::size_t i) noexcept {
        if constexpr (freezes)
            return state_->still.all->point(i);
        else
            return {};
    }

    static void kick_thread(state& s, std::size_t i) noexcept
        requires freezes
    {
        if (i < s.count)
            return kick_tid(s.slots[i].cpu, s.slots[i].tid());
        if (i - s.count < s.still.workers) {
            std::uint64_t const one = 1;
            [[maybe_unused]] auto const ignored = ::write(s.still.kick[i - s.count], &one, sizeof one);
        }
    }

    [[nodiscard]] static auto each_vcpu(state& s) noexcept {
        return [&s](auto&& f) {
            for (std::size_t i = 0; i < s.count; ++i)
                f(s.slots[i].cpu);
        };
    }

    /// The end of a freeze, for its gate.
    thaw_report end_freeze() noexcept
        requires freezes
    {
        auto& s = *state_;
        thaw_report out;
        if (s.still.hold_clocks && !s.control.stopping())
            out.clocks = s.still.clocks.restore(s.vm, each_vcpu(s));
        out.released = s.clock.now();
        out.all_left = s.still.all->release(out.released + seconds(30), s.clock) != freeze_step::timed_out;
        out.resumed = s.clock.now();
        return out;
    }

    explicit basic_runner(std::unique_ptr<state> parts) noexcept : state_(std::move(parts)) {}

    void drain_wake() noexcept {
        std::uint64_t count = 0;
        [[maybe_unused]] auto const ignored = ::read(state_->wake.get(), &count, sizeof count);
    }

    std::unique_ptr<state> state_;
};

} // namespace ktstr
