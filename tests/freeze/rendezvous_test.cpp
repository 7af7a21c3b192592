// SPDX-License-Identifier: Apache-2.0
#include "ktstr/freeze/rendezvous.hpp"

#include "ktstr/freeze/arrivals.hpp"
#include "ktstr/freeze/fence.hpp"
#include "ktstr/freeze/gate.hpp"
#include "ktstr/freeze/policy.hpp"
#include "ktstr/freeze/status.hpp"
#include "ktstr/hv/guest_clocks.hpp"
#include "ktstr/runner/presets.hpp"
#include "suites/freeze_policy_suite.hpp"
#include "suites/parker_suite.hpp"

#include <atomic>
#include <doctest/doctest.h>
#include <vector>

using namespace ktstr;

namespace {

using namespace freeze_policy;

} // namespace

TEST_CASE("freeze_point and never_parks conform") {
    never_parks none;
    parker_suite(none);
    run_control control;
    auto all = rendezvous<>::make(1, control);
    REQUIRE(all);
    auto point = (*all)->point(0);
    parker_suite(point);
    CHECK((*all)->state(0).status == thread_status::dead);
}

TEST_CASE("status and order words survive packing") {
    for (auto const status : {thread_status::running, thread_status::exiting, thread_status::parked, thread_status::dead})
        for (bool const pending : {false, true})
            for (std::uint32_t const generation : {0U, 1U, generation_mask})
                CHECK(thread_state::unpack(thread_state{status, pending, generation}.pack()) ==
                      thread_state{status, pending, generation});
    for (auto const phase : {freeze_phase::none, freeze_phase::quiesce, freeze_phase::park})
        CHECK(freeze_order::unpack(freeze_order{phase, generation_mask}.pack()) == freeze_order{phase, generation_mask});
    CHECK(thread_state{thread_status::parked, false, 7}.settled(7));
    CHECK_FALSE(thread_state{thread_status::parked, false, 6}.settled(7));
    CHECK_FALSE(thread_state{thread_status::parked, true, 7}.settled(7));
    CHECK(thread_state{thread_status::parked, true, 7}.still(7));
    CHECK(thread_state{thread_status::dead, false, 0}.settled(7));
    CHECK_FALSE(thread_state{thread_status::running, false, 7}.still(7));
}

TEST_CASE_TEMPLATE("freeze: every way of hearing and fencing conforms", F, freezable<>, freezable<eventfd_arrivals>,
                   freezable<polled_arrivals>, freezable<futex_arrivals, symmetric_fence>) {
    freeze_policy::suite<F>();
}

TEST_CASE("freeze: quiesce alone keeps handlers from running, and leaving it lets them go on") {
    counting_exits exits;
    scripted_hypervisor::vm_options options;
    options.scripts.assign(2, endless_writes());
    auto r = basic_runner<counting_traits<frozen_traits<freezable<>>>>::make(shape(2), options);
    REQUIRE(r);
    REQUIRE(r->start(exits));
    freeze_options how;
    how.park = false;
    for (int cycle = 0; cycle < 200; ++cycle) {
        auto gate = r->freeze(how);
        REQUIRE(gate);
        auto const before = exits.seen.load();
        ::sched_yield();
        CHECK(exits.seen.load() == before);
    }
    auto const then = exits.seen.load();
    while (exits.seen.load() == then)
        ::sched_yield();
    CHECK(r->stop(stop_cause::supervisor));
}

TEST_CASE("freeze: a vCPU that has ended counts as still, and a machine that ends cannot be frozen") {
    exit_defaults<native_arch> exits;
    scripted_hypervisor::vm_options options;
    options.scripts.resize(2);
    auto r = basic_runner<frozen_traits<freezable<>>>::make(shape(2), options);
    REQUIRE(r);
    REQUIRE(r->start(exits));
    r->request_stop(stop_cause::signal);
    auto const gate = r->freeze();
    REQUIRE_FALSE(gate);
    CHECK(gate.error().code == errc::interrupted);
    CHECK(r->stop(stop_cause::supervisor));
    CHECK_FALSE(r->frozen());
}

namespace {
/// Handles one exit for as long as somebody holds it.
struct stuck_exits : exit_defaults<native_arch> {
    std::atomic<bool> hold{true};
    std::atomic<bool> inside{false};
    exit_verdict on_mmio_write(mmio_exit const&) noexcept {
        inside = true;
        while (hold)
            ::sched_yield();
        return {};
    }
};
struct stuck_traits : frozen_traits<freezable<>> {
    using exits = stuck_exits;
};
} // namespace

TEST_CASE("freeze: a vCPU that does not answer is named with the place where it hangs; the next freeze is whole again") {
    stuck_exits exits;
    scripted_hypervisor::vm_options options;
    options.scripts = {{}, {{.kind = exit_kind::mmio_write, .address = 0xd0000000, .size = 4}}};
    auto r = basic_runner<stuck_traits>::make(shape(2), options);
    REQUIRE(r);
    REQUIRE(r->start(exits));
    while (!exits.inside)
        ::sched_yield();
    freeze_options how;
    how.timeout = millis(30);
    {
        auto gate = r->freeze(how);
        REQUIRE(gate);
        REQUIRE(gate->report().missing.size() == 1);
        CHECK(gate->report().missing[0].thread == 1);
        CHECK_FALSE(gate->report().missing[0].in_guest);
        CHECK_FALSE(gate->report().missing[0].worker);
        CHECK(gate->report().parked.raw == 0);
    }
    exits.hold = false;
    auto gate = r->freeze();
    REQUIRE(gate);
    CHECK(gate->report().whole());
}

TEST_CASE("freeze: workers stop with the vCPUs; there is room for four") {
    exit_defaults<native_arch> exits;
    scripted_hypervisor::vm_options options;
    options.scripts.resize(1);
    auto r = basic_runner<frozen_traits<freezable<>>>::make(shape(1), options);
    REQUIRE(r);
    auto event = unique_fd::eventfd();
    REQUIRE(event);
    auto point = r->add_worker(event->get());
    REQUIRE(point);
    for (int i = 0; i < 3; ++i)
        REQUIRE(r->add_worker(event->get()));
    CHECK(r->add_worker(event->get()).error().code == errc::no_space);
    REQUIRE(r->start(exits));
    freeze_options how;
    how.timeout = millis(20);
    auto gate = r->freeze(how);
    REQUIRE(gate);
    CHECK(gate->report().missing.size() == 4);
    CHECK(gate->report().missing[0].worker);
    std::uint64_t count = 0;
    CHECK(::read(event->get(), &count, sizeof count) == sizeof count);
}
