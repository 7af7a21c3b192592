// SPDX-License-Identifier: Apache-2.0
/// \file
/// What every `FreezePolicy` that is enabled does, whatever its `Arrivals` and its `FreezeFence`: vCPUs that exit all the time
/// stand still while somebody holds the gate, nobody else gets one meanwhile, and everybody goes on afterwards.
#pragma once

#include "ktstr/freeze/gate.hpp"
#include "ktstr/freeze/policy.hpp"
#include "ktstr/runner/presets.hpp"

#include <atomic>
#include <doctest/doctest.h>
#include <vector>

namespace freeze_policy {
using namespace ktstr;

inline machine_shape shape(std::size_t vcpus) {
    machine_shape out{{{{gpa{0}, bytes{1 * MiB}}, 0, bytes{0}}}, {}};
    for (std::size_t i = 0; i < vcpus; ++i)
        out.vcpu_ids.push_back(static_cast<std::uint32_t>(i));
    return out;
}

template <class Freeze>
struct frozen_traits : scripted_runner_traits {
    using freeze = Freeze;
};

/// Counts what its vCPUs do: a frozen machine must not move it.
struct counting_exits : exit_defaults<native_arch> {
    std::atomic<std::uint64_t> seen{0};
    exit_verdict on_mmio_write(mmio_exit const& e) noexcept {
        seen.fetch_add(1);
        return exit_defaults::on_mmio_write(e);
    }
};

template <class Traits>
struct counting_traits : Traits {
    using exits = counting_exits;
};

inline std::vector<scripted_step> endless_writes() {
    return {{.kind = exit_kind::mmio_write, .address = 0xd0000000, .size = 4, .forever = true}};
}


template <class F>
void suite() {
    static_assert(explain_freeze_policy<F>());
    static_assert(F::enabled);
    using traits = counting_traits<frozen_traits<F>>;
    counting_exits exits;
    scripted_hypervisor::vm_options options;
    options.scripts.assign(3, endless_writes());
    options.scripts.push_back({}); // and one that only spins
    auto r = basic_runner<traits>::make(shape(4), options);
    REQUIRE(r);
    REQUIRE(r->start(exits));
    for (std::uint32_t cycle = 1; cycle <= 40; ++cycle) {
        auto gate = r->freeze();
        REQUIRE(gate);
        auto const& report = gate->report();
        REQUIRE(report.whole());
        CHECK(report.generation == cycle);
        CHECK(report.parked >= report.quiesced);
        CHECK(report.quiesced >= report.requested);
        auto const before = exits.seen.load();
        CHECK(r->frozen());
        CHECK(r->freeze().error().code == errc::busy);
        ::sched_yield();
        CHECK(exits.seen.load() == before);
        auto const thawed = gate->thaw();
        CHECK(thawed.all_left);
        CHECK_FALSE(r->frozen());
    }
    auto const end = r->stop(stop_cause::supervisor);
    REQUIRE(end);
    CHECK(end->cause == stop_cause::supervisor);
}

} // namespace freeze_policy
