// SPDX-License-Identifier: Apache-2.0
/// \file
/// The report for programs: schema "ktstr.run/1.0" of docs/json-schema.md.
#include "ktstr-run/report.hpp"

#include "ktstr/version.hpp"

#include <nlohmann/json.hpp>

namespace ktstr::tool {
namespace {

/// Keys stay in the order of writing, so that a person can read the file from the top.
using json = nlohmann::ordered_json;

/// Text of the guest or of the user: invalid UTF-8 becomes '?', so that the document is always valid.
std::string clean(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size();) {
        auto const c = static_cast<unsigned char>(text[i]);
        std::size_t const length = c < 0x80                ? 1
                                   : c >= 0xc2 && c < 0xe0 ? 2
                                   : c >= 0xe0 && c < 0xf0 ? 3
                                   : c >= 0xf0 && c < 0xf5 ? 4
                                                           : 0;
        auto good = length != 0 && i + length <= text.size();
        for (std::size_t k = 1; good && k < length; ++k)
            good = (static_cast<unsigned char>(text[i + k]) & 0xc0) == 0x80;
        if (good && length >= 3) { // No overlong forms, no surrogates, nothing above U+10FFFF.
            auto const second = static_cast<unsigned char>(text[i + 1]);
            good = !(c == 0xe0 && second < 0xa0) && !(c == 0xed && second >= 0xa0) && !(c == 0xf0 && second < 0x90) &&
                   !(c == 0xf4 && second >= 0x90);
        }
        if (good) {
            out += text.substr(i, length);
            i += length;
        } else {
            out += '?';
            ++i;
        }
    }
    return out;
}

/// Absent is not zero and not "": nothing is written for what is not known.
void put_known(json& to, char const* key, std::string_view text) {
    if (!text.empty())
        to[key] = clean(text);
}

json checks_of(verdict const& v) {
    json out = json::array();
    for (auto const& c : v.checks) {
        json row{{"name", name_of(c.id)}, {"state", name_of(c.state)}};
        char const* const suffix = c.unit == unit_kind::percent       ? "_percent"
                                   : c.unit == unit_kind::nanoseconds ? "_ns"
                                   : c.unit == unit_kind::count       ? "_count"
                                                                      : nullptr;
        if (suffix != nullptr) {
            row[std::string("measured") + suffix] = c.measured;
            row[std::string("bound") + suffix] = c.bound;
        }
        put_known(row, "subject", c.subject);
        out.push_back(std::move(row));
    }
    return out;
}

json cgroups_of(verdict const& v) {
    json out = json::array();
    for (auto const& g : v.cgroups) {
        json row{{"name", clean(g.name)}, {"workers", g.workers}};
        put_known(row, "cpus", g.cpus);
        row.update(json{{"work_units", g.units},
                        {"iterations", g.iterations},
                        {"share_min_percent", g.share_min},
                        {"share_mean_percent", g.share_mean},
                        {"share_max_percent", g.share_max},
                        {"gap_ns", g.gap_ns},
                        {"guest_gap_ns", g.raw_gap_ns},
                        {"migrations", g.migrations},
                        {"run_delay_mean_ns", g.run_delay_ns},
                        {"wake_p50_ns", g.wake_p50_ns},
                        {"wake_p99_ns", g.wake_p99_ns},
                        {"usage_ns", g.usage_ns},
                        {"throttled_ns", g.throttled_ns},
                        {"oom_kills", g.oom_kills}});
        out.push_back(std::move(row));
    }
    return out;
}

json workers_of(plan const& what, run_evidence const& e) {
    json out = json::array();
    for (auto const& w : e.workers) {
        auto const name =
            w.cgroup < what.cgroups.size() ? clean(what.cgroups[w.cgroup].name) : std::to_string(w.cgroup);
        json cpus = json::array();
        for (std::size_t word = 0; word < w.cpus_used.size(); ++word)
            for (unsigned bit = 0; bit < 64; ++bit)
                if ((w.cpus_used[word] >> bit & 1) != 0)
                    cpus.push_back(word * 64 + bit);
        out.push_back(json{{"cgroup", name},
                           {"index", w.index},
                           {"pid", w.pid},
                           {"work_units", w.work_units},
                           {"iterations", w.iterations},
                           {"wall_ns", w.wall_ns},
                           {"cpu_ns", w.cpu_ns},
                           {"run_delay_ns", w.run_delay_ns},
                           {"wait_ns", w.wait_ns},
                           {"gap_ns", w.gap_ns},
                           {"gap_at_ns", w.gap_at_ns},
                           {"gap_cpu", w.gap_cpu},
                           {"migrations", w.migrations},
                           {"cpus_used", std::move(cpus)},
                           {"wakes", w.wakes},
                           {"wake_max_ns", w.wake_max_ns}});
    }
    return out;
}

json boot_of(machine_outcome const& m, verdict const& v) {
    json points = json::array();
    for (auto const& p : m.boot)
        points.push_back({{"name", p.name}, {"at_ns", p.at.raw}});
    json phases = json::array();
    for (auto const& p : v.phases)
        phases.push_back(
            {{"name", wire::name_of(p.id)}, {"guest_ns", p.guest_ns}, {"host_ns", p.host_ns - m.evidence.start_ns}});
    json out{{"points", std::move(points)}, {"phases", std::move(phases)}};
    if (v.boot_ns != 0)
        out["to_agent_ns"] = v.boot_ns;
    return out;
}

json exits_of(verdict const& v) {
    json out = json::array();
    for (auto const& x : v.exits)
        if (x.count != 0)
            out.push_back({{"reason", x.name}, {"count", x.count}, {"busy_ns", x.ns}});
    return out;
}

json observer_of(machine_outcome const& m, verdict const& v) {
    auto const& o = m.observer;
    json vcpus = json::array();
    for (auto const& cpu : v.vcpus)
        vcpus.push_back({{"cpu_ns", cpu.cpu_ns}, {"run_delay_ns", cpu.delay_ns}});
    return json{{"vcpu_user_ns", o.vcpu_user.raw},
                {"vcpu_system_ns", o.vcpu_system.raw},
                {"vcpu_run_delay_ns", o.vcpu_run_delay.raw},
                {"helpers_ns", o.helpers.raw},
                {"host_steal_ns", o.host_steal.raw},
                {"own_memory_bytes", o.own_memory.raw},
                {"vcpus", std::move(vcpus)}};
}

json delivery_of(verdict const& v) {
    auto const& t = v.time;
    return json{{"wall_ns", t.wall_ns},       {"cpu_ns", t.cpu_ns},           {"delay_ns", t.delay_ns},
                {"stalled_ns", t.stalled_ns}, {"declared_ratio", t.declared}, {"service_ratio", t.service}};
}

/// What every document begins with, whether a machine ran or not.
json head_of(run_status const& status, plan const& what, std::string const& started) {
    return json{{"schema", "ktstr.run/1.0"},
                {"status", row_of(status).json},
                {"exit_code", static_cast<int>(code_of(status))},
                {"outcome", status_table[static_cast<std::size_t>(status.kind)].json},
                {"strict", status.strict},
                {"reason", clean(status.line)},
                {"started_at", started},
                {"seed", what.seed},
                {"scenario", clean(what.scenario)},
                {"duration_ns", what.duration_ns}};
}

} // namespace

std::string json_text(problem const& p, plan const& what, std::string const& started, bool strict) {
    auto out = head_of(status_of(p, strict), what, started);
    put_known(out, "where", p.where);
    put_known(out, "remedy", p.remedy);
    out["fingerprint"] = {{"tool_version", library_version}};
    return out.dump(2) + '\n';
}

namespace {
json snapshots_of(run_report const& report) {
    json out = json::array();
    for (auto const& s : report.in.machine->snapshots) {
        json row{{"tag", clean(s.tag)},
                 {"cause", s.cause},
                 {"generation", s.generation},
                 {"requested_ns", s.requested.raw},
                 {"to_quiesced_ns", s.to_quiesced.raw}};
        if (s.to_parked.raw != 0)
            row["to_parked_ns"] = s.to_parked.raw;
        row["frozen_ns"] = s.frozen.raw;
        row["clocks_held"] = {{"kvm_clock", s.kvm_clock_held}, {"counter", s.counter_held}};
        if (s.value_known)
            row["value"] = s.value;
        if (s.cause == "watch")
            row["polled"] = s.polled;
        put_known(row, "degraded", s.degraded);
        put_known(row, "lost", s.lost);
        if (s.lost.empty()) {
            row["file"] = clean(report.in.snapshot_folder + '/' + s.file);
            row["pages"] = s.pages;
            row["written_after_ns"] = s.written_after.raw;
        }
        out.push_back(std::move(row));
    }
    return out;
}

json watches_of(run_report const& report) {
    json out = json::array();
    for (auto const& w : report.in.machine->watches)
        out.push_back(json{{"tag", clean(w.tag)},
                           {"address", w.place.address.raw},
                           {"size_bytes", w.place.size},
                           {"stores", w.exits},
                           {"suppressed", w.suppressed},
                           {"hits", w.hits},
                           {"merged", w.merged},
                           {"snapshots", w.captures},
                           {"flooded", w.flooded}});
    return out;
}
} // namespace

std::string json_text(run_report const& report) {
    auto const& in = report.in;
    auto const& v = report.judged;
    auto const& e = in.machine->evidence;
    auto out = head_of(report.status, *in.what, in.started);
    if (auto const& r = report.repeats; r.wanted > 1)
        out["repeats"] = {{"wanted", r.wanted}, {"pass", r.pass}, {"inconclusive", r.inconclusive},
                          {"fail", r.fail},     {"shown", r.shown}};
    json host{{"kernel_release", clean(in.host.kernel_release)},
              {"cpus", in.host.cpus_online},
              {"memory_bytes", in.host.memory_bytes},
              {"machine", in.lab_host.empty() ? "host" : "lab"}};
    put_known(host, "cpu_model", in.host.cpu_model);
    put_known(host, "machine_reason", in.place.why);
    put_known(host, "around_the_lab", in.lab_host);
    json kernel{{"release", clean(in.kernel.release)}, {"key", clean(in.kernel.key)}, {"cmdline", clean(in.cmdline)}};
    put_known(kernel, "build_id", in.kernel.build_id);
    put_known(kernel, "scheduler", v.scheduler);
    out["fingerprint"] = {{"tool_version", library_version}, {"host", std::move(host)}, {"kernel", std::move(kernel)}};
    out["machine"] = {{"topology", std::string(to_text(in.boot->shape).view())},
                      {"topology_name", clean(in.boot->shape_name)},
                      {"cpus", cpus(in.boot->shape)},
                      {"nodes", node_count(in.boot->shape, in.boot->layout)},
                      {"memory_bytes", in.memory.raw},
                      {"ended_by", name_of(e.end.kind)},
                      {"ended_by_value", e.end.value},
                      {"wall_ns", in.machine->wall.raw},
                      {"kvm_run_count", in.machine->runs}};
    if (v.guest_code >= 0)
        out["machine"]["guest_exit_code"] = v.guest_code;
    out["checks"] = checks_of(v);
    out["cgroups"] = cgroups_of(v);
    out["workers"] = workers_of(*in.what, e);
    out["boot"] = boot_of(*in.machine, v);
    out["exits"] = exits_of(v);
    out["observer"] = observer_of(*in.machine, v);
    if (v.time.known)
        out["delivery"] = delivery_of(v);
    out["messages"] = {{"frames", v.frames.frames},
                       {"undecodable", e.undecodable},
                       {"bad_frames", v.frames.bad_headers + v.frames.bad_payloads},
                       {"garbage_bytes", v.frames.garbage}};
    if (auto snapshots = snapshots_of(report); !snapshots.empty())
        out["snapshots"] = std::move(snapshots);
    if (auto watches = watches_of(report); !watches.empty())
        out["watches"] = std::move(watches);
    if (!in.folder.empty())
        out["artefacts"] = {{"folder", clean(in.folder)}, {"files", {"result.json", "dmesg.txt", "console.txt"}}};
    return out.dump(2) + '\n';
}

} // namespace ktstr::tool
