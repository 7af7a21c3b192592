// SPDX-License-Identifier: Apache-2.0
/// \file
/// The report for people.
#include "ktstr-run/report.hpp"

#include "support/quantity.hpp"
#include "support/terminal.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace ktstr::tool {
namespace {

/// A table whose columns are as wide as they must be; the first is flush left, the others flush right.
class table {
public:
    explicit table(std::vector<std::string> head) { add(std::move(head)); }
    void add(std::vector<std::string> row) {
        widths_.resize(std::max(widths_.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i)
            widths_[i] = std::max(widths_[i], row[i].size());
        rows_.push_back(std::move(row));
    }
    [[nodiscard]] std::string text() const {
        std::string out;
        for (auto const& row : rows_) {
            std::string line = "  ";
            for (std::size_t i = 0; i < row.size(); ++i)
                line +=
                    i == 0 ? fmt::format("{:<{}}", row[i], widths_[i]) : fmt::format("  {:>{}}", row[i], widths_[i]);
            out += line + '\n';
        }
        return out;
    }

private:
    std::vector<std::vector<std::string>> rows_;
    std::vector<std::size_t> widths_;
};

std::string time_of(std::uint64_t ns) { return time_text(nanos{static_cast<std::int64_t>(ns)}); }

std::string percent(double x) { return fmt::format("{:.0f}%", x); }

std::string share(cgroup_row const& g, double x) { return g.share_mean == 0 ? std::string("-") : percent(x); }

std::string cgroup_table(verdict const& v) {
    table out(
        {"cgroup", "workers", "cpus", "work units", "share min", "mean", "max", "gap", "migrations", "run delay"});
    for (auto const& g : v.cgroups)
        out.add({g.name, std::to_string(g.workers), g.cpus.empty() ? "all" : g.cpus, std::to_string(g.units),
                 share(g, g.share_min), share(g, g.share_mean), share(g, g.share_max), time_text(nanos{g.gap_ns}),
                 std::to_string(g.migrations), time_of(g.run_delay_ns)});
    return out.text();
}

std::string number_text(double value, unit_kind unit) {
    switch (unit) {
    case unit_kind::percent: return percent(value);
    case unit_kind::nanoseconds: return time_text(nanos{static_cast<std::int64_t>(value)});
    case unit_kind::count: return fmt::format("{:.0f}", value);
    case unit_kind::none: break;
    }
    return {};
}

std::string check_lines(verdict const& v, bool coloured) {
    std::string out;
    for (auto const& c : v.checks) {
        if (c.state == check_state::not_run)
            continue;
        auto const how = c.state == check_state::pass   ? colour::good
                         : c.state == check_state::fail ? colour::bad
                                                        : colour::warn;
        out += fmt::format("  {} {:<11}", paint(fmt::format("{:<12}", name_of(c.state)), how, coloured), name_of(c.id));
        if (c.unit != unit_kind::none)
            out += fmt::format(" {} (bound {})", number_text(c.measured, c.unit), number_text(c.bound, c.unit));
        if (!c.subject.empty())
            out += fmt::format(" {}", c.subject);
        out += '\n';
    }
    return out;
}

std::string delivery_line(verdict const& v) {
    if (!v.time.known)
        return {};
    auto const& t = v.time;
    return fmt::format("CPU time delivered {} of {} wanted ({:.0f}% of what {:.2g} CPUs a host CPU allow), stalls {}\n",
                       time_text(nanos{t.cpu_ns}), time_text(nanos{t.cpu_ns + t.delay_ns}), 100 * t.service, t.declared,
                       time_text(nanos{t.stalled_ns}));
}

std::string boot_lines(machine_outcome const& m) {
    std::string out;
    for (auto const& point : m.boot)
        out += fmt::format("{}{} {}", out.empty() ? "  " : ", ", point.name, time_text(point.at));
    return out.empty() ? out : "boot\n" + out + '\n';
}

std::string exit_table(verdict const& v) {
    auto exits = v.exits;
    std::erase_if(exits, [](auto const& x) { return x.count == 0; });
    std::ranges::sort(exits, [](auto const& a, auto const& b) { return a.count > b.count; });
    if (exits.empty())
        return {};
    table out({"exits", "count", "handling"});
    for (auto const& x : exits)
        out.add({x.name, std::to_string(x.count), time_of(x.ns)});
    return out.text();
}

std::string observer_lines(machine_outcome const& m) {
    auto const& o = m.observer;
    return fmt::format(
        "observer's cost\n  vCPU threads: user {}, system and guest {}, waited for a CPU {}; our other threads {}; "
        "host steal {}; own memory {}\n",
        time_text(o.vcpu_user), time_text(o.vcpu_system), time_text(o.vcpu_run_delay), time_text(o.helpers),
        time_text(o.host_steal), size_text(o.own_memory.raw));
}

std::string snapshot_table(machine_outcome const& m) {
    if (m.snapshots.empty())
        return {};
    table out({"snapshot", "still after", "parked after", "frozen", "pages", "file"});
    std::string notes;
    for (auto const& s : m.snapshots) {
        out.add({s.tag, time_of(s.to_quiesced.raw), s.to_parked.raw == 0 ? "-" : time_of(s.to_parked.raw), time_of(s.frozen.raw),
                 std::to_string(s.pages), s.file.empty() ? "lost" : s.file});
        if (!s.lost.empty())
            notes += fmt::format("  {} is lost: {}\n", s.tag, s.lost);
        if (!s.degraded.empty())
            notes += fmt::format("  {} is degraded: {}\n", s.tag, s.degraded);
    }
    return out.text() + notes;
}

std::string watch_table(machine_outcome const& m) {
    if (m.watches.empty())
        return {};
    table out({"watch", "stores", "suppressed", "hits", "snapshots", ""});
    for (auto const& w : m.watches)
        out.add({w.tag, std::to_string(w.exits), std::to_string(w.suppressed), std::to_string(w.hits), std::to_string(w.captures),
                 w.flooded ? "switched off: it fired too often" : ""});
    return out.text();
}

} // namespace

std::string human_text(run_report const& report, bool coloured) {
    auto const& in = report.in;
    auto const& e = in.machine->evidence;
    auto const& row = row_of(report.status);
    auto const heading = [&](std::string_view text) { return paint(text, colour::bold, coloured); };
    std::string out = paint(text_of(report.status), row.paint, coloured) + ": " + report.status.line + '\n';
    out += fmt::format("scenario {}, kernel {}, topology {}, memory {}, seed {}, machine {}\n", in.what->scenario,
                       in.kernel.release, in.boot->shape_name, size_text(in.memory.raw), in.what->seed,
                       in.lab_host.empty() ? "host" : "lab");
    if (auto const& r = report.repeats; r.wanted > 1)
        out += fmt::format("{} runs in one boot ({} wanted): {} pass, {} inconclusive, {} fail; run {} is shown\n",
                           r.pass + r.inconclusive + r.fail, r.wanted, r.pass, r.inconclusive, r.fail, r.shown);
    if (std::ranges::any_of(report.judged.cgroups, [](auto const& g) { return g.workers != 0; }))
        out += '\n' + cgroup_table(report.judged);
    if (auto const checks = check_lines(report.judged, coloured); !checks.empty())
        out += "\nchecks\n" + checks;
    out += delivery_line(report.judged);
    if (auto const boot = boot_lines(*in.machine); !boot.empty())
        out += '\n' + boot;
    if (auto const exits = exit_table(report.judged); !exits.empty())
        out += '\n' + exits;
    out += fmt::format("\nend of the machine: {}, after {}; {} KVM_RUN calls\n", name_of(e.end.kind),
                       time_text(in.machine->wall), in.machine->runs);
    out += observer_lines(*in.machine);
    if (auto const watches = watch_table(*in.machine); !watches.empty())
        out += '\n' + watches;
    if (auto const snapshots = snapshot_table(*in.machine); !snapshots.empty())
        out += '\n' + snapshots + heading("snapshots") + ": " + in.snapshot_folder + '\n';
    if (!in.folder.empty())
        out += heading("artefacts") + ": " + in.folder + " (result.json, dmesg.txt, console.txt)\n";
    return out;
}

} // namespace ktstr::tool
