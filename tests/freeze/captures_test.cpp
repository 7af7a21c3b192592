// SPDX-License-Identifier: Apache-2.0
#include "ktstr/freeze/captures.hpp"

#include <doctest/doctest.h>
#include <map>
#include <string>
#include <vector>

using namespace ktstr;

namespace {

/// Notes every step; answers as told.
struct script {
    struct hold_type {
        explicit hold_type(script& s) noexcept : all(&s) {}
        hold_type(hold_type&& other) noexcept : all(std::exchange(other.all, nullptr)) {}
        ~hold_type() {
            if (all != nullptr)
                all->leaked += 1;
        }
        script* all;
    };
    using snapshot_type = std::string;

    std::vector<std::string> steps;
    std::map<std::string, std::string> stored; ///< Tag to content; the main snapshot is "".
    std::vector<std::string> replies;
    result<> freezes{};
    int busy = 0; ///< So many freezes find the gate held.
    bool bears_out = true;
    std::string lacks;
    int disk_full = 0; ///< So many publications fail.
    nanos extended{};
    int leaked = 0;
    int taken = 0;

    template <class T>
    result<hold_type> freeze(T const& t) {
        steps.push_back("freeze " + std::string(name_of(cause_of(t))));
        if (busy > 0) {
            --busy;
            return fail(errc::busy, "freeze.held");
        }
        if (!freezes)
            return std::unexpected(freezes.error());
        return hold_type(*this);
    }
    template <class T>
    bool confirm(hold_type&, T const&) {
        steps.push_back("confirm");
        return bears_out;
    }
    template <class T>
    captured<std::string> capture(hold_type&, T const& t) {
        steps.push_back("capture");
        return {std::string(name_of(cause_of(t))) + " #" + std::to_string(++taken), lacks};
    }
    nanos thaw(hold_type&& h) {
        auto const mine = std::move(h);
        const_cast<hold_type&>(mine).all = nullptr;
        steps.push_back("thaw");
        return millis(3);
    }
    void extend(nanos by) {
        steps.push_back("extend");
        extended = extended + by;
    }
    result<> publish(std::string& s, capture_label const& label) {
        steps.push_back("publish " + label.tag + (label.degraded.empty() ? "" : " (degraded)"));
        if (disk_full > 0) {
            --disk_full;
            return fail(errc::no_space, "snapshot.write");
        }
        CHECK(stored.emplace(label.tag, s).second);
        return {};
    }
    template <class T>
    void reply(T const& t, bool ok, std::string_view reason) {
        steps.push_back("reply");
        replies.push_back(tag_of(t) + (ok ? " ok" : " error: " + std::string(reason)));
    }
};
using single = captures<single_snapshot, script>;
using dual = captures<dual_snapshot, script>;
using list = std::vector<std::string>;

} // namespace

TEST_CASE("captures: the steps of each cause, in order, are those of its policy") {
    struct row {
        dual_snapshot::trigger_type trigger;
        list steps;
    };
    row const rows[] = {
        {error_exit{}, {"freeze error exit", "confirm", "capture", "thaw", "publish "}},
        {early_age{}, {"freeze early", "capture", "thaw", "extend"}},
        {guest_request{1, "g"}, {"freeze guest request", "capture", "thaw", "extend", "publish g", "reply"}},
        {watch_hit{1, "w"}, {"freeze watch", "capture", "thaw", "extend", "publish w"}},
        {periodic_due{2}, {"freeze periodic", "capture", "thaw", "extend", "publish periodic_002"}},
        {host_call{"h"}, {"freeze host call", "capture", "thaw", "extend", "publish h", "reply"}},
    };
    for (auto const& r : rows) {
        script s;
        dual c(s);
        CAPTURE(name_of(cause_of(r.trigger)));
        CHECK(c.capture(r.trigger) == capture_outcome::captured);
        CHECK(s.steps == r.steps);
        CHECK(s.leaked == 0);
        REQUIRE(c.records().size() == 1);
        CHECK(c.records()[0].frozen == millis(3));
        CHECK(c.records()[0].taken);
    }
}

TEST_CASE("captures: one snapshot: late captured ends it, everything else is served in every state") {
    script s;
    single c(s);
    CHECK(c.capture(host_call{"a"}) == capture_outcome::captured);
    CHECK(c.state() == single_snapshot::state::idle);
    CHECK(c.capture(error_exit{true}) == capture_outcome::captured);
    CHECK(c.state() == single_snapshot::state::done);
    CHECK(c.capture(error_exit{true}) == capture_outcome::ignored);
    CHECK(c.capture(watch_hit{1, "w"}) == capture_outcome::captured);
    CHECK(c.capture(guest_request{4, "r"}) == capture_outcome::captured);
    CHECK(c.capture(periodic_due{0}) == capture_outcome::captured);
    CHECK(s.stored.size() == 5);
    CHECK(s.stored.at("") == "error exit #2");
    CHECK(!c.holds_early());
}

TEST_CASE("captures: the early snapshot beside each of its siblings") {
    SUBCASE("late captured: both are kept") {
        script s;
        dual c(s);
        CHECK(c.capture(early_age{}) == capture_outcome::captured);
        CHECK(c.state() == dual_snapshot::state::took_early);
        CHECK(c.holds_early());
        CHECK(s.stored.empty());
        CHECK(c.capture(early_age{}) == capture_outcome::ignored);
        CHECK(c.capture(error_exit{}) == capture_outcome::captured);
        CHECK(s.stored == std::map<std::string, std::string>{{"early", "early #1"}, {"", "error exit #2"}});
        CHECK(!c.holds_early());
    }
    SUBCASE("late degraded") {
        script s;
        dual c(s);
        static_cast<void>(c.capture(early_age{}));
        s.lacks = "vCPU 1 did not answer";
        CHECK(c.capture(error_exit{}) == capture_outcome::degraded);
        CHECK(s.stored.count("early-pre-late-degraded") == 1);
        CHECK(s.stored.count("") == 1);
        CHECK(s.steps.back() == "publish early-pre-late-degraded");
        CHECK(c.records()[1].reason == "vCPU 1 did not answer");
    }
    SUBCASE("late suppressed") {
        script s;
        dual c(s);
        static_cast<void>(c.capture(early_age{}));
        s.bears_out = false;
        CHECK(c.capture(error_exit{}) == capture_outcome::suppressed);
        CHECK(c.state() == dual_snapshot::state::done);
        CHECK(s.stored == std::map<std::string, std::string>{{"early-only-late-suppressed", "early #1"}});
        CHECK(s.leaked == 0);
    }
    SUBCASE("late never fired") {
        script s;
        {
            dual c(s);
            static_cast<void>(c.capture(early_age{}));
        } // also when nobody calls finish
        CHECK(s.stored == std::map<std::string, std::string>{{"early-only-late-never-fired", "early #1"}});
    }
    SUBCASE("the machine could not be frozen for the late one") {
        script s;
        dual c(s);
        static_cast<void>(c.capture(early_age{}));
        s.freezes = fail(errc::interrupted, "freeze.machine_ends");
        CHECK(c.capture(error_exit{}) == capture_outcome::failed);
        CHECK(c.state() == dual_snapshot::state::done);
        CHECK(s.stored.count("early-pre-late-degraded") == 1);
        CHECK(c.records()[1].reason == "freeze.machine_ends");
    }
    SUBCASE("the early one itself is degraded: stored at once under its own name") {
        script s;
        dual c(s);
        s.lacks = "no registers";
        CHECK(c.capture(early_age{}) == capture_outcome::degraded);
        CHECK(c.state() == dual_snapshot::state::took_early);
        CHECK(s.stored.count("early-degraded") == 1);
        CHECK(!c.holds_early());
        s.lacks.clear();
        static_cast<void>(c.capture(error_exit{}));
        c.finish();
        CHECK(s.stored.size() == 2);
    }
}

TEST_CASE("captures: a full disk: the early snapshot is held under its name until the end, and its loss is in the account") {
    SUBCASE("room at the end") {
        script s;
        dual c(s);
        static_cast<void>(c.capture(early_age{}));
        s.bears_out = false;
        s.disk_full = 1;
        static_cast<void>(c.capture(error_exit{}));
        CHECK(c.holds_early());
        CHECK(!c.records()[0].published);
        c.finish();
        CHECK(s.stored.count("early-only-late-suppressed") == 1);
        CHECK(c.records()[0].published);
        CHECK(c.records()[0].reason.empty());
        CHECK(c.lost() == 0);
    }
    SUBCASE("no room at all") {
        script s;
        dual c(s);
        static_cast<void>(c.capture(early_age{}));
        s.disk_full = 100;
        static_cast<void>(c.capture(error_exit{}));
        c.finish();
        c.finish();
        CHECK(s.stored.empty());
        CHECK(c.lost() == 2);
        CHECK(c.records()[0].taken);
        CHECK(!c.records()[0].published);
        CHECK(c.records()[0].tag == "early");
        CHECK(c.records()[0].reason == "not stored: snapshot.write");
        CHECK(!c.records()[1].published);
    }
    SUBCASE("a degraded early one keeps its reason across a failure") {
        script s;
        dual c(s);
        s.lacks = "no registers";
        s.disk_full = 1;
        static_cast<void>(c.capture(early_age{}));
        CHECK(c.holds_early());
        s.lacks.clear();
        static_cast<void>(c.capture(error_exit{}));
        c.finish();
        CHECK(s.stored.count("early-degraded") == 1);
        CHECK(s.steps.back() == "publish early-degraded (degraded)");
        CHECK(c.records()[0].reason == "no registers");
    }
}

TEST_CASE("captures: a sink that fails once is asked again; who waits for an answer hears of a failure") {
    script s;
    single c(s);
    s.disk_full = 1;
    static_cast<void>(c.capture(guest_request{1, "x"}));
    CHECK(s.stored.count("x") == 1);
    s.disk_full = 2;
    static_cast<void>(c.capture(guest_request{2, "y"}));
    s.lacks = "vCPU 0 is stuck";
    static_cast<void>(c.capture(host_call{"z"}));
    CHECK(s.replies == list{"x ok", "y error: the snapshot could not be stored: snapshot.write", "z error: vCPU 0 is stuck"});
    CHECK(c.lost() == 1);
    CHECK(c.records()[1].taken);
    CHECK(!c.records()[1].published);
}

TEST_CASE("captures: while a freeze is held some wait their turn, others hear that one is in flight") {
    script s;
    dual c(s);
    s.busy = 5;
    CHECK(c.capture(guest_request{1, "r"}) == capture_outcome::in_flight);
    CHECK(c.capture(host_call{"h"}) == capture_outcome::in_flight);
    CHECK(c.capture(early_age{}) == capture_outcome::in_flight);
    CHECK(c.state() == dual_snapshot::state::idle); // asked again at the next look
    CHECK(c.capture(periodic_due{0}) == capture_outcome::queued);
    CHECK(c.capture(watch_hit{2, "w"}) == capture_outcome::queued);
    CHECK(c.waiting() == 2);
    CHECK(s.replies == list{"r error: another snapshot is being taken; try again", "h error: another snapshot is being taken; try again"});
    s.steps.clear();
    CHECK(c.capture(error_exit{}) == capture_outcome::captured); // those before it go first
    CHECK(c.waiting() == 0);
    list const freezes{s.steps[0], s.steps[5], s.steps[10]};
    CHECK(freezes == list{"freeze periodic", "freeze watch", "freeze error exit"});
    CHECK(s.stored.size() == 3);
}

TEST_CASE("captures: one that finds a freeze held again keeps its place") {
    script s;
    single c(s);
    s.busy = 3;
    CHECK(c.capture(periodic_due{0}) == capture_outcome::queued);
    CHECK(c.capture(watch_hit{1, "w"}) == capture_outcome::queued);
    CHECK(c.waiting() == 2);
    c.service(); // still held
    CHECK(c.waiting() == 2);
    s.steps.clear();
    c.service();
    CHECK(s.steps[0] == "freeze periodic");
    CHECK(s.steps[5] == "freeze watch");
}

TEST_CASE("captures: what waits is tried at the end, and a queue has an end") {
    script s;
    {
        single c(s);
        s.busy = 1;
        CHECK(c.capture(error_exit{}) == capture_outcome::queued);
        c.service();
        CHECK(c.state() == single_snapshot::state::done);
        s.busy = 1'000'000;
        for (std::size_t i = 0; i < single::max_waiting; ++i)
            REQUIRE(c.capture(periodic_due{static_cast<std::uint32_t>(i)}) == capture_outcome::queued);
        CHECK(c.capture(periodic_due{99}) == capture_outcome::in_flight);
        s.busy = 0;
    }
    CHECK(s.stored.size() == 1 + single::max_waiting);
    script t;
    single d(t);
    t.busy = 1'000'000;
    CHECK(d.capture(watch_hit{1, "w"}) == capture_outcome::queued);
    d.finish();
    CHECK(d.waiting() == 0);
    REQUIRE(d.records().size() == 1);
    CHECK(d.records()[0].outcome == capture_outcome::in_flight);
}

TEST_CASE("captures: the account is bounded, snapshots are not refused for it") {
    script s;
    single c(s);
    for (std::size_t i = 0; i < single::max_records + 10; ++i)
        REQUIRE(c.capture(host_call{"n" + std::to_string(i)}) == capture_outcome::captured);
    CHECK(c.records().size() == single::max_records);
    CHECK(c.unrecorded() == 10);
    CHECK(s.stored.size() == single::max_records + 10);
    CHECK(s.extended == nanos{millis(3).raw * static_cast<std::int64_t>(single::max_records + 10)});
    s.disk_full = 2;
    static_cast<void>(c.capture(host_call{"lost"}));
    CHECK(c.lost() == 1);
}

TEST_CASE("captures: names of outcomes") {
    CHECK(name_of(capture_outcome::in_flight) == "in flight");
    CHECK(name_of(static_cast<capture_outcome>(50)) == "unknown outcome");
}

TEST_CASE("captures: whatever happens, in any order: what was taken is stored or said to be lost, and no freeze is left held") {
    std::uint32_t seed = 1;
    auto const random = [&seed](std::uint32_t n) {
        seed = seed * 1664525 + 1013904223;
        return (seed >> 8) % n;
    };
    std::size_t kept_early = 0;
    for (int round = 0; round < 3000; ++round) {
        script s;
        std::uint64_t lost = 0;
        bool early_taken = false;
        {
            dual c(s);
            auto const steps = random(16);
            for (std::uint32_t i = 0; i < steps; ++i) {
                s.busy = random(4) == 0 ? static_cast<int>(random(3)) : 0;
                s.disk_full = random(4) == 0 ? static_cast<int>(random(4)) : 0;
                s.bears_out = random(3) != 0;
                s.lacks = random(4) == 0 ? "something" : "";
                s.freezes = random(8) == 0 ? result<>(fail(errc::interrupted, "freeze.machine_ends")) : result<>{};
                auto const name = std::to_string(i);
                switch (random(7)) {
                case 0: static_cast<void>(c.capture(error_exit{})); break;
                case 1: static_cast<void>(c.capture(early_age{})); break;
                case 2: static_cast<void>(c.capture(guest_request{i, "r" + name})); break;
                case 3: static_cast<void>(c.capture(watch_hit{1, "w" + name})); break;
                case 4: static_cast<void>(c.capture(periodic_due{i})); break;
                case 5: static_cast<void>(c.capture(host_call{"h" + name})); break;
                case 6: c.service(); break;
                }
            }
            s.freezes = result<>{};
            c.finish();
            lost = c.lost();
            std::size_t published = 0;
            std::size_t taken = 0;
            for (auto const& line : c.records()) {
                published += line.published;
                taken += line.taken;
                early_taken |= line.taken && line.cause == freeze_cause::early;
                REQUIRE((line.outcome == capture_outcome::captured || line.outcome == capture_outcome::degraded) == line.taken);
                REQUIRE((!line.taken || line.published || !line.reason.empty()));
            }
            REQUIRE(published == s.stored.size());
            REQUIRE(taken == published + lost);
            REQUIRE(c.waiting() == 0);
            REQUIRE(!(c.holds_early() && lost == 0));
        }
        REQUIRE(static_cast<std::uint64_t>(s.taken) == s.stored.size() + lost);
        REQUIRE(s.leaked == 0);
        std::size_t early = 0;
        for (auto const& [tag, what] : s.stored)
            early += tag.starts_with("early");
        REQUIRE(early <= (early_taken ? 1U : 0U));
        REQUIRE((!early_taken || early == 1 || lost > 0));
        kept_early += early;
    }
    CHECK(kept_early > 300);
}
