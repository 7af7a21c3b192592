// SPDX-License-Identifier: Apache-2.0
// The capture sequence on a real machine: every cause through one function, registers and memory of one instant, the
// deadline moved by the frozen time, and the early snapshot kept.
#include "ktstr/freeze/captures.hpp"

#include "ktstr/freeze/periodic.hpp"
#include "ktstr/freeze/policy.hpp"
#include "ktstr/hv/vcpu_record.hpp"
#include "ktstr/kvm/x86_64/describe.hpp"
#include "ktstr/run/deadline.hpp"
#include "ktstr/runner/presets.hpp"
#include "kvm/user_guest.hpp"

#include <doctest/doctest.h>
#include <map>
#include <string>
#include <thread>
#include <vector>

using namespace ktstr;

namespace {

struct quiet_exits : exit_defaults<x86_64> {};
struct capture_traits : default_runner_traits {
    using freeze = freezable<>;
    using exits = quiet_exits;
};
using runner = basic_runner<capture_traits>;

/// What the tool does, in small: registers and counters are the snapshot.
struct machine_ops {
    struct picture {
        std::vector<std::uint64_t> counters;
        std::vector<std::uint64_t> rips;
    };
    using hold_type = freeze_gate<runner>;
    using snapshot_type = picture;

    runner& machine;
    deadline& limit;
    std::map<std::string, picture> stored{};
    std::vector<std::string> answers{};
    bool scheduler_died = true;
    monotonic_clock clock{};

    template <class T>
    result<hold_type> freeze(T const&) {
        return machine.freeze();
    }
    template <class T>
    bool confirm(hold_type&, T const&) {
        return scheduler_died;
    }
    template <class T>
    captured<picture> capture(hold_type& hold, T const&) {
        captured<picture> out;
        out.snapshot.counters = user_guest::counters(machine);
        for (std::size_t i = 0; i < machine.vcpus().size(); ++i) {
            vcpu_record record;
            REQUIRE(kvm::describe_vcpu(machine.vcpu(i).fd(), record));
            out.snapshot.rips.push_back(record.value("rip"));
        }
        CHECK(out.snapshot.counters == user_guest::counters(machine)); // nobody moved meanwhile
        if (!hold.report().whole())
            out.degraded = "a vCPU did not answer";
        return out;
    }
    nanos thaw(hold_type&& hold) {
        auto const from = hold.report().requested;
        auto mine = std::move(hold);
        auto const done = mine.thaw();
        CHECK(done.all_left);
        return done.resumed - from;
    }
    void extend(nanos by) { limit.extend(extension_cause::freeze, by, clock.now()); }
    result<> publish(picture& p, capture_label const& label) {
        CHECK(stored.emplace(label.tag, p).second);
        return {};
    }
    template <class T>
    void reply(T const& t, bool ok, std::string_view reason) {
        answers.push_back(tag_of(t) + (ok ? " ok" : " " + std::string(reason)));
    }
};

runner spinners(std::size_t n) {
    auto r = runner::make(user_guest::shape(n), {.irqchip = false});
    REQUIRE(r);
    REQUIRE(user_guest::load(*r, user_guest::spinner));
    return std::move(*r);
}

} // namespace

TEST_CASE("captures on a machine: every cause, and two snapshots of one death") {
    quiet_exits exits;
    auto r = spinners(3);
    deadline limit(monotonic_clock{}.now(), seconds(60), seconds(3));
    machine_ops ops{r, limit};
    REQUIRE(r.start(exits));
    auto const before = limit.expiry();
    {
        captures<dual_snapshot, machine_ops> all(ops);
        CHECK(all.capture(guest_request{1, "asked"}) == capture_outcome::captured);
        CHECK(all.capture(watch_hit{1, "watched"}) == capture_outcome::captured);
        CHECK(all.capture(host_call{"called"}) == capture_outcome::captured);
        CHECK(all.capture(periodic_due{0}) == capture_outcome::captured);
        CHECK(all.capture(early_age{seconds(2), seconds(1)}) == capture_outcome::captured);
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        {
            auto held = r.freeze(); // somebody else's
            REQUIRE(held);
            CHECK(all.capture(host_call{"too soon"}) == capture_outcome::in_flight);
            CHECK(all.capture(error_exit{}) == capture_outcome::queued);
        }
        all.service();
        CHECK(all.state() == dual_snapshot::state::done);
        for (auto const& line : all.records())
            if (line.taken) {
                CHECK(line.published);
                CHECK(line.frozen > nanos{0});
                CHECK(line.frozen < seconds(5));
            }
        CHECK(all.lost() == 0);
    }
    CHECK(ops.stored.size() == 6);
    CHECK(ops.answers == std::vector<std::string>{"asked ok", "called ok", "too soon another snapshot is being taken; try again"});
    auto const& early = ops.stored.at("early");
    auto const& late = ops.stored.at("");
    std::uint64_t moved = 0;
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(late.counters[i] >= early.counters[i]);
        moved += late.counters[i] - early.counters[i];
        CHECK((late.rips[i] == user_guest::code.raw || late.rips[i] == user_guest::code.raw + 3));
    }
    CHECK(moved > 0); // the guest went on between the two
    CHECK(limit.expiry() > before);
    REQUIRE(limit.extensions().size() == 1);
    CHECK(limit.extensions()[0].times == 5); // the error exit moves no deadline
    CHECK(r.stop(stop_cause::supervisor));
}

TEST_CASE("captures on a machine: periodic ones hit their boundaries, and a machine that is over still gives the last one") {
    quiet_exits exits;
    auto r = spinners(2);
    deadline limit(monotonic_clock{}.now(), seconds(60), seconds(3));
    machine_ops ops{r, limit};
    monotonic_clock const clock;
    periodic_schedule schedule(*periodic_boundaries::make({5, millis(400), millis(10)}));
    REQUIRE(r.start(exits));
    captures<single_snapshot, machine_ops> all(ops);
    schedule.start(clock.now());
    auto const end = clock.now() + seconds(20);
    while (schedule.taken() < 5 && clock.now() < end) {
        if (auto const due = schedule.due(clock.now())) {
            auto const at = clock.now();
            CHECK(schedule.elapsed(at)->raw >= millis(400).raw / 10);
            REQUIRE(all.capture(periodic_due{*due}) == capture_outcome::captured);
            schedule.fired(at);
            schedule.frozen(all.records().back().frozen);
        } else {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }
    CHECK(schedule.taken() == 5);
    CHECK(ops.stored.count("periodic_004") == 1);
    REQUIRE(r.stop(stop_cause::supervisor));
    CHECK(all.capture(error_exit{true}) == capture_outcome::captured); // stands still by itself
    CHECK(ops.stored.count("") == 1);
}
