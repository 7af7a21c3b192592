// SPDX-License-Identifier: Apache-2.0
/// \file
/// Collects evidence while the machine runs: bytes of the message port in, `run_evidence` out.
#pragma once

#include "ktstr/scenario/evidence.hpp"
#include "ktstr/scenario/plan.hpp"
#include "ktstr/wire/any_message.hpp"
#include "ktstr/wire/stream_decoder.hpp"
#include "ktstr/wire/wake_histogram.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace ktstr {

/// How much text of each kind is kept; the rest of a flood is dropped from the middle on.
inline constexpr std::size_t kept_text = 4U << 20;
/// Most worker reports, phases and progress marks kept: a hostile guest must not fill the host's memory.
inline constexpr std::size_t kept_records = 65536;
/// Most delivery samples kept; when full, every second one goes.
inline constexpr std::size_t kept_samples = 2048;

/// Not thread-safe: the owner calls it from one thread or under its lock.
class evidence_recorder {
public:
    /// `start_ns`: host time the machine's life is counted from.
    explicit evidence_recorder(std::int64_t start_ns) { evidence_.start_ns = start_ns; }

    /// Takes bytes from the message port that arrived at host time `now`. `vcpus()` returns `std::vector<vcpu_time>` and is
    /// called only at the start and the end of the scenario. `on_message(wire::guest_message const&)` sees every intact
    /// message after it was recorded (output to show, progress to answer).
    template <class Vcpus, class OnMessage>
    void feed(std::span<std::byte const> data, std::int64_t now, Vcpus&& vcpus, OnMessage&& on_message) {
        decoder_.feed(data, [&](wire::frame_view frame) { take(frame, now, vcpus, on_message); });
        evidence_.frames = decoder_.counts();
    }

    /// Takes the vCPU times at host time `now`; call about ten times a second while `running()`.
    void sample(std::int64_t now, std::vector<vcpu_time> vcpus) {
        if (!running())
            return;
        auto& samples = evidence_.samples;
        if (samples.size() >= kept_samples) {
            std::size_t to = 0;
            for (std::size_t i = 0; i < samples.size(); i += 2)
                samples[to++] = std::move(samples[i]);
            samples.resize(to);
        }
        samples.push_back({now, std::move(vcpus)});
    }

    /// Takes what the guest printed on its console.
    void console(std::string_view text) { append(evidence_.console, text); }

    /// Between scenario start and end.
    [[nodiscard]] bool running() const noexcept {
        return evidence_.scenario_start.has_value() && !evidence_.scenario_end.has_value();
    }
    /// What is known so far.
    [[nodiscard]] run_evidence const& so_far() const noexcept { return evidence_; }
    /// The phase the agent was in when last heard.
    [[nodiscard]] wire::agent_phase phase() const noexcept {
        return evidence_.phases.empty() ? wire::agent_phase::start : evidence_.phases.back().id;
    }

    /// Ends the recording: bytes that were held back are searched a last time.
    [[nodiscard]] run_evidence finish(machine_end end, std::int64_t now, std::vector<vcpu_time> vcpus) {
        decoder_.finish([&](wire::frame_view frame) {
            take(frame, now, [&] { return vcpus; }, [](wire::guest_message const&) {});
        });
        evidence_.frames = decoder_.counts();
        evidence_.end = end;
        evidence_.end_ns = now;
        evidence_.vcpus = std::move(vcpus);
        return std::move(evidence_);
    }

private:
    static void append(std::string& to, std::string_view text) {
        if (to.size() + text.size() <= kept_text) {
            to.append(text);
            return;
        }
        // Beginning and end of a log matter most: forget a stretch in the middle.
        to.append(text.substr(text.size() > kept_text / 2 ? text.size() - kept_text / 2 : 0));
        if (to.size() > kept_text)
            to.erase(kept_text / 4, to.size() - kept_text * 3 / 4);
    }

    template <class T>
    static void keep(std::vector<T>& list, T value) {
        if (list.size() < kept_records)
            list.push_back(std::move(value));
    }

    template <class Vcpus, class OnMessage>
    void take(wire::frame_view frame, std::int64_t now, Vcpus&& vcpus, OnMessage&& on_message) {
        auto const message = wire::decode_guest_message(frame);
        if (!message) {
            ++evidence_.undecodable;
            return;
        }
        evidence_.last_message_ns = now;
        auto& e = evidence_;
        if (auto const* const m = std::get_if<wire::hello>(&*message)) {
            if (!e.hello) {
                e.hello = *m;
                e.hello_ns = now;
            }
        } else if (auto const* const ph = std::get_if<wire::phase>(&*message)) {
            keep(e.phases, phase_mark{ph->id, ph->guest_ns, now});
        } else if (auto const* const t = std::get_if<wire::topology_report>(&*message)) {
            e.topology = *t;
        } else if (auto const* const w = std::get_if<wire::worker_report>(&*message)) {
            if (e.workers.size() < max_plan_workers && w->cpu_units.size() <= 256 &&
                w->cpus_used.size() <= (max_plan_cpus + 63) / 64 + 1 && w->wake_histogram.size() <= wire::wake_buckets)
                e.workers.push_back(*w);
        } else if (auto const* const g = std::get_if<wire::cgroup_report>(&*message)) {
            if (e.cgroups.size() < max_plan_cgroups)
                e.cgroups.push_back(*g);
        } else if (auto const* const k = std::get_if<wire::kernel_log>(&*message)) {
            append(e.kernel_log, {reinterpret_cast<char const*>(k->data.data()), k->data.size()});
        } else if (auto const* const s = std::get_if<wire::scheduler_state>(&*message)) {
            (s->when == wire::state_moment::before_run ? e.scheduler_before : e.scheduler_after) = *s;
        } else if (auto const* const b = std::get_if<wire::scenario_start>(&*message)) {
            if (e.scenario_start && e.scenario_end)
                begin_next_run();
            if (!e.scenario_start) {
                e.scenario_start = *b;
                e.at_start = {now, vcpus()};
            }
        } else if (auto const* const f = std::get_if<wire::scenario_end>(&*message)) {
            if (e.scenario_start && !e.scenario_end) {
                e.scenario_end = *f;
                e.at_end = {now, vcpus()};
            }
        } else if (auto const* const a = std::get_if<wire::agent_error>(&*message)) {
            if (!e.agent_error)
                e.agent_error = *a;
        } else if (auto const* const c = std::get_if<wire::crash>(&*message)) {
            e.crash = *c;
        } else if (auto const* const x = std::get_if<wire::exit_message>(&*message)) {
            e.exit = *x;
        } else if (auto const* const n = std::get_if<wire::kernel_note>(&*message)) {
            e.kernel_note = *n;
        } else if (auto const* const p = std::get_if<wire::progress>(&*message)) {
            std::uint64_t units = 0;
            for (auto const u : p->units)
                units += u;
            keep(e.progress, progress_mark{p->guest_ns, now, units});
        }
        on_message(*message);
    }

    /// Files the run that ended under `earlier`, at most as many as a plan may ask for, and makes room for the next.
    void begin_next_run() {
        auto& e = evidence_;
        filed_workers_ += e.workers.size();
        if (e.earlier.size() < max_plan_repeats && filed_workers_ <= kept_records) {
            run_evidence done;
            done.start_ns = e.start_ns;
            done.hello = e.hello;
            done.hello_ns = e.hello_ns;
            done.topology = e.topology;
            done.workers = e.workers;
            done.cgroups = e.cgroups;
            done.scheduler_before = done.scheduler_after = e.scheduler_before;
            done.scenario_start = e.scenario_start;
            done.scenario_end = e.scenario_end;
            done.progress = e.progress;
            done.at_start = e.at_start;
            done.at_end = e.at_end;
            done.samples = e.samples;
            e.earlier.push_back(std::move(done));
        }
        e.workers.clear();
        e.cgroups.clear();
        e.progress.clear();
        e.samples.clear();
        e.at_start = e.at_end = {};
        e.scenario_start.reset();
        e.scenario_end.reset();
    }

    run_evidence evidence_;
    wire::stream_decoder decoder_;
    std::size_t filed_workers_ = 0; ///< Reports in earlier runs: a guest may not file more than `kept_records`.
};

} // namespace ktstr
