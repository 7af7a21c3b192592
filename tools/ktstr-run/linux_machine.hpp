// SPDX-License-Identifier: Apache-2.0
/// \file
/// The machine that `ktstr-run` boots: the traits bag, and building it from a request.
#pragma once

#include "ktstr-run/guest_ports.hpp"
#include "ktstr-run/machine_devices.hpp"
#include "ktstr-run/run_machine.hpp"
#include "ktstr/freeze/watch.hpp"
#include "ktstr/kvm/x86_64/clock.hpp"
#include "ktstr/run/event_queue.hpp"
#include "ktstr/runner/basic_runner.hpp"
#include "ktstr/runner/traits.hpp"
#include "ktstr/runner/x86_64/watching.hpp"
#include "support/problem.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace ktstr::tool {

/// What a vCPU thread tells the supervisor about an exit that ends the machine or that nobody knows.
struct vcpu_event {
    exit_kind kind = exit_kind::unknown;
    std::uint64_t detail = 0; ///< Suberror, hardware reason or raw exit reason; of a watchpoint: the new value.
    std::uint32_t slot = 0;   ///< Of a watchpoint.
    bool known = false;       ///< The new value was read.
};

/// The devices' policy, which also reports what is out of the ordinary.
class machine_exits : public machine_devices::exits_type {
public:
    using base = machine_devices::exits_type;
    machine_exits(base const& devices, event_queue<vcpu_event>& events) noexcept : base(devices), events_(events) {}

    /// Debug exits are those of `watches` on `machine` (a machine_runner, which has this type as its policy).
    void watch_over(void* machine, watch_set& watches) noexcept {
        machine_ = machine;
        watches_ = &watches;
    }
    exit_verdict on_debug(debug_exit const& e) noexcept;

    exit_verdict on_internal_error(internal_error_exit const& e) noexcept {
        events_.push({exit_kind::internal_error, e.suberror});
        return base::on_internal_error(e);
    }
    exit_verdict on_fail_entry(fail_entry_exit const& e) noexcept {
        events_.push({exit_kind::fail_entry, e.hardware_reason});
        return base::on_fail_entry(e);
    }
    exit_verdict on_unknown(unknown_exit const& e) noexcept {
        events_.push({exit_kind::unknown, e.reason});
        return base::on_unknown(e);
    }

private:
    event_queue<vcpu_event>& events_;
    void* machine_ = nullptr;
    watch_set* watches_ = nullptr;
};

struct machine_traits : default_runner_traits {
    using exits = machine_exits;
    using stats = exit_times;
    using freeze = freezable<>;
    using clocks = kvm::guest_clocks;
};
using machine_runner = basic_runner<machine_traits>;

inline exit_verdict machine_exits::on_debug(debug_exit const& e) noexcept {
    if (watches_ == nullptr)
        return base::on_debug(e);
    auto& machine = *static_cast<machine_runner*>(machine_);
    return answer_debug(machine, *watches_, e, monotonic_clock{}.now(),
                        [&](vcpu_index, std::uint32_t slot, std::uint64_t value, bool known) noexcept {
                            events_.push({exit_kind::debug, value, slot, known});
                            machine.nudge();
                        });
}

/// A machine ready to start. The devices borrow the runner's memory, so they go first.
struct linux_machine {
    std::unique_ptr<machine_runner> runner;
    std::shared_ptr<guest_output> output;
    std::unique_ptr<event_queue<vcpu_event>> events;
    std::unique_ptr<machine_devices> devices;
    std::unique_ptr<machine_exits> exits;
    std::unique_ptr<watch_set> watches = std::make_unique<watch_set>();
    std::vector<std::uint32_t> hardware_ids; ///< APIC id of each vCPU.
    std::vector<boot_point> boot; ///< Times from `from` on.
};

/// Builds the machine of `request`: memory, kernel, tables, vCPUs, devices. `from` is when counting began.
[[nodiscard]] outcome<linux_machine> build_linux_machine(machine_request const& request, nanos from);

/// CPU service of every vCPU thread so far.
[[nodiscard]] std::vector<vcpu_time> vcpu_times(machine_runner& runner);

} // namespace ktstr::tool
