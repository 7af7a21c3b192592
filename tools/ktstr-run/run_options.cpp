// SPDX-License-Identifier: Apache-2.0
/// \file
/// Checking the options of `run`.
#include "ktstr-run/run_options.hpp"

#include "ktstr-run/control_socket.hpp"
#include "ktstr-run/guest_plan.hpp"
#include "ktstr-run/results.hpp"
#include "ktstr/freeze/watch_resolve.hpp"
#include "ktstr/scenario/builtin.hpp"
#include "support/near_miss.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <sys/random.h>

namespace ktstr::tool {
namespace {

std::uint64_t draw_seed() {
    std::uint64_t out = 0;
    // Small enough to be read aloud; a seed is named, not kept secret.
    return ::getrandom(&out, sizeof out, 0) == sizeof out ? out % 1'000'000'000 : 1;
}

outcome<fault_plan> read_fault(std::string const& name) {
    std::vector<std::string_view> names;
    for (auto at = 1; at <= static_cast<int>(last_of(fault_kind{})); ++at) {
        auto const kind = static_cast<fault_kind>(at);
        if (name_of(kind) == name)
            return fault_plan{.kind = kind};
        names.push_back(name_of(kind));
    }
    return problem_of(exit_code::bad_input, fmt::format("unknown fault '{}'", name), "option --fault",
                      hint(name, names));
}

outcome<plan> read_scenario(std::string const& name, topology_plan const& machine, scenario_options const& options) {
    auto made = make_builtin(name, machine, options);
    if (made)
        return *std::move(made);
    auto const& e = made.error();
    if (e.code == errc::not_found) {
        std::vector<std::string_view> names;
        for (auto const& s : scenarios())
            names.push_back(s.name);
        return problem_of(exit_code::bad_input, fmt::format("unknown scenario '{}'", name), "command 'run'",
                          hint(name, names));
    }
    if (e.code == errc::unsupported)
        return problem_of(exit_code::bad_input, fmt::format("scenario '{}' needs at least {} CPUs", name, e.value),
                          "option --topology", "ask for a larger machine");
    if (e.where == "plan.workers")
        return problem_of(exit_code::bad_input,
                          fmt::format("{} workers are too many; {} are possible", e.value, max_plan_workers),
                          "option --workers", "ask for fewer");
    return std::unexpected(problem_from(e, exit_code::bad_input,
                                        fmt::format("scenario '{}' is not possible here", name), "command 'run'"));
}

/// Most snapshots of one run: each may be as large as the guest.
constexpr std::uint64_t max_snapshots = 64;

outcome<snapshot_wish> read_snapshots(invocation const& call, plan const& what) {
    snapshot_wish out;
    if (auto const text = call.value("snapshots")) {
        auto const count = read_number("snapshots", *text, 0, max_snapshots);
        if (!count)
            return std::unexpected(count.error());
        out.periodic = static_cast<std::uint32_t>(*count);
    }
    if (auto const text = call.value("freeze-at")) {
        for (std::size_t from = 0; from <= text->size();) {
            auto const to = std::min(text->find(',', from), text->size());
            auto const at = read_time("freeze-at", text->substr(from, to - from));
            if (!at)
                return std::unexpected(at.error());
            if (static_cast<std::uint64_t>(at->raw) >= what.duration_ns)
                return problem_of(exit_code::bad_input, fmt::format("the run is over before '{}'", text->substr(from, to - from)),
                                  "option --freeze-at", "name a time within --duration");
            out.at.push_back(*at);
            from = to + 1;
        }
        if (out.at.size() + out.periodic > max_snapshots)
            return problem_of(exit_code::bad_input, fmt::format("more than {} snapshots in one run", max_snapshots),
                              "option --freeze-at", "ask for fewer");
        std::sort(out.at.begin(), out.at.end());
    }
    if (auto const name = call.value("snapshot-format")) {
        if (*name != "core" && *name != "ktstr")
            return problem_of(exit_code::bad_input, fmt::format("unknown snapshot format '{}'", *name),
                              "option --snapshot-format", "use core or ktstr");
        out.format = *name == "core" ? snapshot_format::core : snapshot_format::own;
    }
    if (auto const text = call.value("freeze-timeout")) {
        auto const timeout = read_time("freeze-timeout", *text);
        if (!timeout)
            return std::unexpected(timeout.error());
        out.freeze_timeout = *timeout;
    }
    if (auto const path = call.value("snapshot-dir"))
        out.folder = absolute_path(*path);
    out.shown_as = call.value_or("snapshots-shown-as", out.folder);
    out.machine_name = call.value_or("name", "");
    if (call.has("name") && !valid_machine_name(out.machine_name))
        return problem_of(exit_code::bad_input, fmt::format("'{}' cannot be a machine's name", out.machine_name), "option --name",
                          "use up to 64 letters, digits, . _ -");
    out.dual = call.has("dual-snapshot");
    out.death = out.dual || call.has("death-snapshot");
    for (auto const& [name, text] : call.options)
        if (name == "watch") {
            if (auto const parsed = parse_watch(text); !parsed)
                return problem_of(exit_code::bad_input,
                                  fmt::format("'{}' cannot be watched: {}", text, watch_reason(parsed.error())), "option --watch",
                                  "write SYMBOL[+OFFSET][:SIZE][OP VALUE], as jiffies_64:8>0x1000");
            out.watch.push_back(text);
        }
    if (out.watch.size() > user_watches)
        return problem_of(exit_code::bad_input, fmt::format("{} watchpoints are too many; a vCPU has {} to give", out.watch.size(), user_watches),
                          "option --watch", "ask for fewer");
    return out;
}

} // namespace

outcome<run_options> read_run_options(invocation const& call, boot_options const& boot) {
    run_options out;
    if (call.words.size() > 1)
        return problem_of(exit_code::bad_input,
                          fmt::format("one scenario at a time, not '{}' and '{}'", call.words[0], call.words[1]),
                          "command 'run'", "run them one after the other");
    scenario_options wanted;
    wanted.host_cpus = usable_cpus();
    if (auto const text = call.value("duration")) {
        auto const duration = read_time("duration", *text);
        if (!duration)
            return std::unexpected(duration.error());
        wanted.duration_ns = static_cast<std::uint64_t>(duration->raw);
    }
    if (auto const text = call.value("workers")) {
        auto const workers = read_number("workers", *text, 1, max_plan_workers);
        if (!workers)
            return std::unexpected(workers.error());
        wanted.workers = static_cast<std::uint32_t>(*workers);
    }
    if (auto const text = call.value("seed")) {
        auto const seed = read_number("seed", *text, 0, ~std::uint64_t{0});
        if (!seed)
            return std::unexpected(seed.error());
        out.seed = *seed;
        out.seed_given = true;
    } else {
        out.seed = draw_seed();
    }
    wanted.seed = out.seed;
    auto what = read_scenario(call.words.empty() ? "steady" : call.words[0], checked_topology(boot), wanted);
    if (!what)
        return std::unexpected(what.error());
    out.what = *std::move(what);
    out.what.checks.scheduler = call.value_or("scheduler", "");
    if (auto const text = call.value("repeat")) {
        auto const repeat = read_number("repeat", *text, 1, max_plan_repeats);
        if (!repeat)
            return std::unexpected(repeat.error());
        out.what.repeat = static_cast<std::uint32_t>(*repeat);
    }
    if (auto const name = call.value("fault")) {
        auto const fault = read_fault(*name);
        if (!fault)
            return std::unexpected(fault.error());
        out.what.fault = *fault;
        // What starves comes almost at once: a worker that had a quarter of the run to itself has a quarter of its share.
        auto const kind = fault->kind;
        auto const starves = kind == fault_kind::stop_worker || kind == fault_kind::starve_weight || kind == fault_kind::realtime_hog;
        out.what.fault.after_ns = out.what.duration_ns / (starves ? 50 : 4);
    }
    auto snapshots = read_snapshots(call, out.what);
    if (!snapshots)
        return std::unexpected(snapshots.error());
    out.snapshots = *std::move(snapshots);
    if (auto const path = call.value("json"))
        out.json = *path == "-" ? *path : absolute_path(*path);
    if (auto const path = call.value("results"))
        out.results = absolute_path(*path);
    out.shown_as = call.value_or("shown-as", "");
    out.lab_host = call.value_or("lab-host", "");
    out.strict = call.has("strict");
    out.keep = call.has("keep");
    for (auto const& [path, option] : {std::pair(out.json, "json"), std::pair(boot.dmesg, "dmesg")})
        if (!path.empty())
            if (auto writable = check_writable(path, option); !writable)
                return std::unexpected(writable.error());
    return out;
}

} // namespace ktstr::tool
