// SPDX-License-Identifier: Apache-2.0
/// \file
/// The plan: everything the agent needs to know, as plain values. The host writes it, the guest obeys it.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/topo/numa.hpp"
#include "ktstr/topo/topology.hpp"
#include "ktstr/wire/codec.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ktstr {

/// What the guest is for.
enum class run_mode : std::uint8_t {
    scenario, ///< Cgroups of workers, then a verdict.
    exec,     ///< One command; its output and exit code come back.
    shell,    ///< An interactive shell on hvc0.
};
[[nodiscard]] constexpr run_mode last_of(run_mode) noexcept { return run_mode::shell; }

/// What a worker does with its time.
enum class work_type : std::uint8_t {
    spin,       ///< Computes without pause.
    yield,      ///< Computes a little, then sched_yield, again and again.
    mixed,      ///< Alternates 1024 units of spinning with a yield.
    sleep_wake, ///< Computes about 1 ms, sleeps 1 ms, measures how late it woke.
    bursty,     ///< Computes about 50 ms, sleeps 100 ms.
};
[[nodiscard]] constexpr work_type last_of(work_type) noexcept { return work_type::bursty; }

/// Whether a worker of this type always wants the CPU, so that its share can be held against that of its like.
[[nodiscard]] constexpr bool always_runnable(work_type w) noexcept {
    return w == work_type::spin || w == work_type::yield || w == work_type::mixed;
}

/// Whether a worker of this type never gives its CPU away, so that its share can be held against that of other cgroups.
/// (A yield says "others first", and the kernel may take it at its word.)
[[nodiscard]] constexpr bool demands_share(work_type w) noexcept { return w == work_type::spin; }

/// One cgroup and its workers.
struct cgroup_plan {
    std::string name;                ///< Unique, [a-z0-9_-]+.
    std::vector<std::uint32_t> cpus; ///< Allowed CPUs, sorted, unique; empty = all.
    std::uint32_t workers = 1;
    work_type work = work_type::spin;
    std::uint32_t weight = 100; ///< cpu.weight, 1-10000.
    static void describe(auto& io, auto& m) { io(m.name), io(m.cpus), io(m.workers), io(m.work), io(m.weight); }
    friend bool operator==(cgroup_plan const&, cgroup_plan const&) = default;
};

/// A failure made on purpose, so that a user can see what each verdict looks like and trust a pass.
enum class fault_kind : std::uint8_t {
    none,
    guest_panic,   ///< The kernel panics (sysrq c).
    agent_abort,   ///< The agent aborts.
    out_of_memory, ///< A worker eats memory until the kernel kills it.
    hang,          ///< The agent goes silent with its CPU spinning.
    port_garbage,  ///< The agent writes rubbish between its frames, then goes on.
    stop_worker,   ///< One worker is stopped (SIGSTOP) for the rest of the run.
    starve_weight, ///< One worker is moved to a cgroup of cpu.weight 1 beside its own.
    realtime_hog,  ///< A SCHED_FIFO process spins on each CPU of the cgroup.
    leave_cpuset,  ///< One worker is moved out of its cgroup and onto every CPU.
    worker_exit,   ///< One worker exits early.
    oops_line,     ///< A line that reads like a kernel oops is written to the log.
};
[[nodiscard]] constexpr fault_kind last_of(fault_kind) noexcept { return fault_kind::oops_line; }

/// Which fault, where and when.
struct fault_plan {
    fault_kind kind = fault_kind::none;
    std::uint32_t cgroup = 0;
    std::uint32_t worker = 0;
    std::uint64_t after_ns = 0; ///< Guest time from the start of the scenario.
    static void describe(auto& io, auto& m) { io(m.kind), io(m.cgroup), io(m.worker), io(m.after_ns); }
    friend bool operator==(fault_plan const&, fault_plan const&) = default;
};

/// What must hold. A bound of 0 switches its check off.
struct check_plan {
    std::uint32_t starvation_percent = 10; ///< A worker below this part of its fair share is starved.
    std::uint32_t spread_percent = 150; ///< Largest minus smallest share of a cgroup's workers, in % of the fair share.
    std::uint64_t gap_ns = 2'000'000'000; ///< Longest wait for a CPU that was there to be had.
    std::uint64_t wake_p99_ns = 0;        ///< 99th percentile of wake lateness.
    bool isolation = true;                ///< Workers stay on the CPUs of their cgroup.
    bool progress = true;                 ///< Every worker does some work.
    bool kernel_log = true;               ///< No panic, oops, lockup, hung task or RCU stall in the log.
    std::string scheduler;                ///< Must be the one that ran: "default", or sched_ext ops name; empty = any.
    static void describe(auto& io, auto& m) {
        io(m.starvation_percent), io(m.spread_percent), io(m.gap_ns), io(m.wake_p99_ns);
        io(m.isolation), io(m.progress), io(m.kernel_log), io(m.scheduler);
    }
    friend bool operator==(check_plan const&, check_plan const&) = default;
};

/// How the guest leaves when all is said.
enum class leave_by : std::uint8_t {
    reboot,    ///< reboot(RB_AUTOBOOT): the way the kernel's `reboot=` names (k i8042, a ACPI, t triple fault).
    power_off, ///< reboot(RB_POWER_OFF): ACPI S5.
    halt,      ///< reboot(RB_HALT_SYSTEM).
};
[[nodiscard]] constexpr leave_by last_of(leave_by) noexcept { return leave_by::halt; }

/// The machine that was asked for, and whether the guest is to compare itself with it.
struct topology_plan {
    bool check = false;
    std::uint32_t nodes = 1, llcs = 1, cores = 1, threads = 1; ///< As in `topology`.
    std::vector<std::uint64_t> node_memory{};                  ///< As in `numa_layout`: bytes by node; empty = even.
    std::vector<std::uint8_t> distances{};                     ///< As in `numa_layout`.
    static void describe(auto& io, auto& m) {
        io(m.check), io(m.nodes), io(m.llcs), io(m.cores), io(m.threads), io(m.node_memory), io(m.distances);
    }
    friend bool operator==(topology_plan const&, topology_plan const&) = default;
};

/// The request for a machine of shape `t` with nodes as `layout` says.
[[nodiscard]] inline topology_plan make_topology_plan(topology const& t, numa_layout const& layout = {},
                                                      bool check = true) {
    topology_plan out{.check = check, .nodes = t.nodes, .llcs = t.llcs, .cores = t.cores, .threads = t.threads};
    for (auto const& size : layout.memory)
        out.node_memory.push_back(size.raw);
    out.distances = layout.distances;
    return out;
}
/// The shape in a request.
[[nodiscard]] constexpr topology shape_of(topology_plan const& t) noexcept {
    return {t.nodes, t.llcs, t.cores, t.threads};
}
/// The nodes in a request.
[[nodiscard]] inline numa_layout layout_of(topology_plan const& t) {
    numa_layout out;
    for (auto const size : t.node_memory)
        out.memory.push_back(bytes{size});
    out.distances = t.distances;
    return out;
}

/// The whole plan.
struct plan {
    run_mode mode = run_mode::scenario;
    std::string scenario;                      ///< Name, for reports.
    std::uint64_t duration_ns = 5'000'000'000; ///< Guest time the scenario runs.
    std::uint64_t seed = 0;
    std::uint32_t repeat = 1; ///< Times the scenario runs, one after the other, in the same boot.
    std::vector<cgroup_plan> cgroups;
    topology_plan topology;
    std::uint32_t host_cpus = 0; ///< CPUs that back the vCPUs: the declared oversubscription; 0 = one each.
    check_plan checks;
    fault_plan fault;
    std::vector<std::string> arguments;    ///< exec: the command; shell: the shell to start, empty = find one.
    std::vector<std::string> environment;  ///< NAME=value; added to PATH, HOME and TERM.
    std::string folder;                    ///< Working folder of the command; empty = "/".
    bool forward_stdin = false;            ///< exec: standard input comes from `stdin_data` messages, else /dev/null.
    std::uint16_t rows = 24, columns = 80; ///< shell: the terminal's size at the start.
    leave_by leave = leave_by::reboot;
    std::uint64_t go_timeout_ns = 60'000'000'000; ///< Guest time the agent waits for the host's go.
    std::uint64_t stop_grace_ns = 10'000'000'000; ///< Guest time workers get to stop before they are killed.

    static void describe(auto& io, auto& m) {
        io(m.mode), io(m.scenario), io(m.duration_ns), io(m.seed), io(m.repeat), io(m.cgroups), io(m.topology), io(m.host_cpus);
        io(m.checks), io(m.fault), io(m.arguments), io(m.environment), io(m.folder), io(m.forward_stdin);
        io(m.rows), io(m.columns), io(m.leave), io(m.go_timeout_ns), io(m.stop_grace_ns);
    }
    friend bool operator==(plan const&, plan const&) = default;
};

/// CPUs of the machine the plan was made for.
[[nodiscard]] constexpr std::uint64_t cpus_of(topology_plan const& t) noexcept {
    return std::uint64_t{t.llcs} * t.cores * t.threads;
}

/// Limits that keep a plan sane on both sides.
inline constexpr std::uint32_t max_plan_cgroups = 64;
inline constexpr std::uint32_t max_plan_workers = 4096;
inline constexpr std::uint32_t max_plan_repeats = 1000;
inline constexpr std::uint32_t max_plan_cpus = max_cpus;

/// Whether the plan makes sense: the errors of the topology's own `validate`, or `invalid_argument` or `out_of_range` with `where` naming the field and `value` its index
/// or number.
[[nodiscard]] inline result<> validate(plan const& p) {
    KTSTR_CHECK(validate(shape_of(p.topology)));
    KTSTR_CHECK(validate(shape_of(p.topology), layout_of(p.topology)));
    if (p.repeat < 1 || p.repeat > max_plan_repeats)
        return fail(errc::out_of_range, "plan.repeat", p.repeat);
    if (p.cgroups.size() > max_plan_cgroups)
        return fail(errc::out_of_range, "plan.cgroups", p.cgroups.size());
    std::uint64_t workers = 0;
    for (std::size_t i = 0; i < p.cgroups.size(); ++i) {
        auto const& g = p.cgroups[i];
        if (g.name.empty() || g.name.size() > 64)
            return fail(errc::invalid_argument, "plan.cgroup.name", i);
        for (char const c : g.name)
            if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
                return fail(errc::invalid_argument, "plan.cgroup.name", i);
        for (std::size_t j = 0; j < i; ++j)
            if (p.cgroups[j].name == g.name)
                return fail(errc::already_exists, "plan.cgroup.name", i);
        for (std::size_t k = 0; k < g.cpus.size(); ++k)
            if (g.cpus[k] >= cpus_of(p.topology) || (k != 0 && g.cpus[k] <= g.cpus[k - 1]))
                return fail(errc::out_of_range, "plan.cgroup.cpus", i);
        if (g.weight < 1 || g.weight > 10000)
            return fail(errc::out_of_range, "plan.cgroup.weight", i);
        workers += g.workers;
    }
    if (workers > max_plan_workers)
        return fail(errc::out_of_range, "plan.workers", workers);
    if (p.mode == run_mode::scenario && workers == 0)
        return fail(errc::invalid_argument, "plan.workers", 0);
    if (p.mode == run_mode::exec && p.arguments.empty())
        return fail(errc::invalid_argument, "plan.arguments", 0);
    if (p.fault.kind != fault_kind::none && p.mode == run_mode::scenario &&
        (p.fault.cgroup >= p.cgroups.size() || p.fault.worker >= p.cgroups[p.fault.cgroup].workers))
        return fail(errc::out_of_range, "plan.fault", p.fault.cgroup);
    return {};
}

/// The file the agent reads: magic "KTPL", version, then the plan. Errors are those of `validate`.
[[nodiscard]] result<std::vector<std::byte>> encode_plan(plan const& p);

/// The plan in `data`: `bad_format` at "plan.magic", `unsupported` at "plan.version", the codec's errors, or what
/// `validate` says.
[[nodiscard]] result<plan> decode_plan(std::span<std::byte const> data);

/// The name of a fault as users write it; empty for a value outside the enumeration.
[[nodiscard]] constexpr std::string_view name_of(fault_kind k) noexcept {
    constexpr std::array<std::string_view, 12> names{"none",   "panic",        "agent-abort", "oom",
                                                     "hang",   "garbage",      "stop",        "weight",
                                                     "rt-hog", "leave-cpuset", "worker-exit", "oops-line"};
    auto const at = static_cast<std::size_t>(k);
    return at < names.size() ? names[at] : std::string_view{};
}

/// The name of a work type as users write it.
[[nodiscard]] constexpr std::string_view name_of(work_type w) noexcept {
    constexpr std::array<std::string_view, 5> names{"spin", "yield", "mixed", "sleep-wake", "bursty"};
    auto const at = static_cast<std::size_t>(w);
    return at < names.size() ? names[at] : std::string_view{};
}

// --- inline bodies -------------------------------------------------------------------------------------------------

namespace detail {
inline constexpr std::uint32_t plan_magic = 0x4C50'544BU; // "KTPL" read as little-endian
inline constexpr std::uint16_t plan_version = 1;
struct plan_file {
    std::uint32_t magic = plan_magic;
    std::uint16_t version = plan_version;
    plan body;
    static void describe(auto& io, auto& m) { io(m.magic), io(m.version), io(m.body); }
};
} // namespace detail

inline result<std::vector<std::byte>> encode_plan(plan const& p) {
    KTSTR_CHECK(validate(p));
    return wire::encode_value(detail::plan_file{.body = p});
}

inline result<plan> decode_plan(std::span<std::byte const> data) {
    reader head(data, "plan");
    KTSTR_TRY(auto const magic, head.get<le32>());
    if (magic.get() != detail::plan_magic)
        return fail(errc::bad_format, "plan.magic", magic.get());
    KTSTR_TRY(auto const version, head.get<le16>());
    if (version.get() != detail::plan_version)
        return fail(errc::unsupported, "plan.version", version.get());
    KTSTR_TRY(auto file, wire::decode_value<detail::plan_file>(data, "plan"));
    KTSTR_CHECK(validate(file.body));
    return std::move(file.body);
}

} // namespace ktstr
