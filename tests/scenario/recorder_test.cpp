// SPDX-License-Identifier: Apache-2.0
#include "ktstr/scenario/recorder.hpp"

#include "wire/samples.hpp"

#include <doctest/doctest.h>

using namespace ktstr;

namespace {
std::vector<vcpu_time> two_vcpus() { return {{1, 2}, {3, 4}}; }
auto const nothing = [](wire::guest_message const&) {};
} // namespace

TEST_CASE("recorder: every message finds its place") {
    std::vector<std::byte> stream;
    std::uint32_t sequence = 0;
    samples::each_guest_message([&](auto const& m) { wire::encode_message(m, sequence++, stream); });
    evidence_recorder r(5);
    int seen = 0;
    for (std::size_t at = 0; at < stream.size(); at += 7)
        r.feed(std::span(stream).subspan(at, std::min<std::size_t>(7, stream.size() - at)),
               100 + static_cast<std::int64_t>(at), two_vcpus, [&](wire::guest_message const&) { ++seen; });
    CHECK(seen == 16);
    CHECK(r.phase() == wire::agent_phase::run);
    r.console("text");
    auto const e = r.finish({end_kind::power_off, 0}, 9999, two_vcpus());
    CHECK(e.start_ns == 5);
    CHECK(e.end_ns == 9999);
    CHECK(e.hello->release == "7.3");
    CHECK(e.phases.size() == 1);
    CHECK(e.topology->mismatches.size() == 2);
    CHECK(e.workers.size() == 1);
    CHECK(e.cgroups.size() == 1);
    CHECK(e.kernel_log == "[1] x\n");
    CHECK(e.scheduler_after->ops == "simple");
    CHECK(!e.scheduler_before);
    CHECK(e.at_start.vcpus == two_vcpus());
    CHECK(e.at_end.vcpus == two_vcpus());
    CHECK(e.at_start.host_ns < e.at_end.host_ns);
    CHECK(e.agent_error->where == "open");
    CHECK(e.crash->signal == 11);
    CHECK(e.exit->code == -2);
    REQUIRE(e.kernel_note);
    CHECK(e.kernel_note->size == 0x1024);
    CHECK(e.progress.size() == 1);
    CHECK(e.progress[0].units == 3);
    CHECK(e.console == "text");
    CHECK(e.frames.frames == 16);
    CHECK(e.undecodable == 0);
}

TEST_CASE("recorder: frames from the host's side and unknown ones have no effect but are counted") {
    std::vector<std::byte> stream;
    wire::encode_message(wire::go{}, 0, stream);
    wire::append_frame(stream, 999, 1, {});
    wire::append_frame(stream, 13, 2, {});
    evidence_recorder r(0);
    r.feed(stream, 1, two_vcpus, nothing);
    CHECK(r.so_far().undecodable == 3);
    CHECK(!r.so_far().exit);
    CHECK(r.so_far().last_message_ns == 0);
}

TEST_CASE("recorder: samples are taken only while the scenario runs, and their number is bounded") {
    evidence_recorder r(0);
    r.sample(1, two_vcpus());
    CHECK(r.so_far().samples.empty());
    std::vector<std::byte> stream;
    wire::encode_message(wire::scenario_start{1}, 0, stream);
    r.feed(stream, 2, two_vcpus, nothing);
    CHECK(r.running());
    for (int i = 0; i < 10'000; ++i)
        r.sample(3 + i, two_vcpus());
    CHECK(r.so_far().samples.size() <= kept_samples);
    CHECK(r.so_far().samples.front().host_ns == 3);
    CHECK(r.so_far().samples.back().host_ns == 3 + 9'999);
    stream.clear();
    wire::encode_message(wire::scenario_end{2, false}, 1, stream);
    r.feed(stream, 20'000, two_vcpus, nothing);
    CHECK(!r.running());
}

TEST_CASE("recorder: floods of text keep their beginning and their end") {
    evidence_recorder r(0);
    r.console("BEGIN");
    std::string const chunk(100'000, 'x');
    for (int i = 0; i < 200; ++i)
        r.console(chunk);
    r.console("END");
    r.console(std::string(kept_text * 2, 'y'));
    r.console("END");
    auto const& text = r.so_far().console;
    CHECK(text.size() <= kept_text);
    CHECK(text.starts_with("BEGIN"));
    CHECK(text.ends_with("yEND"));
}

TEST_CASE("recorder: a flood of reports is bounded, and oversized ones are dropped") {
    evidence_recorder r(0);
    std::vector<std::byte> stream;
    auto w = samples::a_worker_report();
    for (int i = 0; i < 5000; ++i)
        wire::encode_message(w, 0, stream);
    w.cpu_units.resize(10'000);
    r.feed(stream, 1, two_vcpus, nothing);
    CHECK(r.so_far().workers.size() == max_plan_workers);
    evidence_recorder other(0);
    stream.clear();
    wire::encode_message(w, 0, stream);
    other.feed(stream, 1, two_vcpus, nothing);
    CHECK(other.so_far().workers.empty());
}

TEST_CASE("recorder: the exit message held back by a cut-off frame is found at the end") {
    std::vector<std::byte> stream;
    wire::encode_message(wire::kernel_log{std::vector<std::byte>(5000)}, 0, stream);
    stream.resize(100); // the guest died in the middle of it, and another context went on
    wire::encode_message(wire::exit_message{0}, 1, stream);
    evidence_recorder r(0);
    r.feed(stream, 1, two_vcpus, nothing);
    CHECK(!r.so_far().exit);
    CHECK(r.finish({}, 2, {}).exit);
}

TEST_CASE("recorder: a second scenario start files the first run, with its own reports, under the earlier ones") {
    std::vector<std::byte> stream;
    std::uint32_t sequence = 0;
    auto const say = [&](auto const& message) { wire::encode_message(message, sequence++, stream); };
    for (std::uint64_t run = 1; run <= 3; ++run) {
        say(wire::scenario_start{run * 100});
        say(wire::scenario_end{run * 100 + 50, false});
        wire::worker_report w;
        w.work_units = run;
        say(w);
    }
    say(wire::scenario_start{400}); // a run that never ended
    evidence_recorder r(0);
    r.feed(stream, 7, two_vcpus, nothing);
    auto const e = r.finish({end_kind::wall_limit, 0}, 9, two_vcpus());
    REQUIRE(e.earlier.size() == 3);
    for (std::uint64_t run = 1; run <= 3; ++run) {
        auto const& one = e.earlier[run - 1];
        CHECK(one.scenario_start->guest_ns == run * 100);
        CHECK(one.scenario_end->guest_ns == run * 100 + 50);
        REQUIRE(one.workers.size() == 1);
        CHECK(one.workers[0].work_units == run);
        CHECK(one.at_end.vcpus == two_vcpus());
    }
    CHECK(e.scenario_start->guest_ns == 400);
    CHECK(!e.scenario_end);
    CHECK(e.workers.empty());
}

TEST_CASE("recorder: a guest that repeats itself without end files a bounded number of reports") {
    std::vector<std::byte> one;
    wire::encode_message(wire::scenario_start{1}, 0, one);
    wire::encode_message(wire::scenario_end{2, false}, 0, one);
    for (std::uint32_t i = 0; i < max_plan_workers; ++i)
        wire::encode_message(wire::worker_report{}, 0, one);
    evidence_recorder r(0);
    for (int i = 0; i < 40; ++i)
        r.feed(one, 1, two_vcpus, nothing);
    CHECK(r.so_far().earlier.size() == kept_records / max_plan_workers);
}
