// SPDX-License-Identifier: Apache-2.0
/// \file
/// Watchpoints of a whole machine: setting the registers of all vCPUs in a freeze, and answering a debug exit.
#pragma once

#include "ktstr/base/clock.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/freeze/gate.hpp"
#include "ktstr/freeze/watch.hpp"
#include "ktstr/hv/exit.hpp"
#include "ktstr/hv/exit_policy.hpp"
#include "ktstr/kvm/x86_64/guest_debug.hpp"
#include "ktstr/sys/thread.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace ktstr {

/// Sets the watchpoint registers of every vCPU to those of `set`. By whoever holds the freeze that `frozen` tells of, with
/// every vCPU parked; a vCPU that did not answer is left out, because KVM would wait for it: it keeps its old registers
/// until it meets one of them. How many vCPUs were set, or the first ioctl's failure.
template <class Runner>
[[nodiscard]] result<std::size_t> set_watchpoints(Runner& machine, watch_set const& set, freeze_report const& frozen) {
    auto const places = set.places();
    std::size_t done = 0;
    for (std::size_t i = 0; i < machine.vcpus().size(); ++i) {
        auto const is_missing = [i](freeze_missing const& m) { return !m.worker && m.thread == i; };
        if (std::ranges::any_of(frozen.missing, is_missing))
            continue;
        KTSTR_CHECK(kvm::set_watchpoints(machine.vcpu(i).fd(), places));
        ++done;
    }
    return done;
}

/// The answer to a debug exit, on the thread of the vCPU that saw it: `set` decides; what belongs to the guest goes back to
/// it; registers that are out of date are set anew. `on_hit(vcpu_index, slot, value, known)` is called for each slot that
/// asks for a freeze; the vCPU is then held until the freeze comes. Neither locks nor allocates.
template <class Runner, class OnHit>
[[nodiscard]] exit_verdict answer_debug(Runner& machine, watch_set& set, debug_exit const& e, nanos now, OnHit&& on_hit) noexcept {
    auto const slots = machine.vcpus();
    auto const tid = this_thread_id();
    std::size_t self = 0;
    while (self < slots.size() && slots[self].tid() != tid)
        ++self;
    auto const d = set.on_debug(kvm::debug_cause_of(e), machine.memory(), now);
    // What these ioctls cannot do is no reason to end the machine: at worst a stop more, or a step less for the guest.
    if (self < slots.size()) {
        auto const fd = slots[self].cpu.fd();
        if (d.foreign)
            static_cast<void>(kvm::pass_debug_to_guest(fd, set.places(), e));
        else if (d.flooded != 0)
            static_cast<void>(kvm::set_watchpoints(fd, set.places()));
    }
    if (d.action != watch_action::hit)
        return {};
    for (std::uint32_t i = 0; i < watch_slots; ++i)
        if ((d.hits >> i & 1) != 0)
            on_hit(vcpu_index{static_cast<std::uint32_t>(self)}, i, d.values[i], (d.known >> i & 1) != 0);
    return {exit_action::hold, guest_end::none};
}

} // namespace ktstr
