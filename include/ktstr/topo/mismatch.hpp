// SPDX-License-Identifier: Apache-2.0
/// \file
/// The comparison of a declared topology with an observed one: a list of differences as numbers, with a formatter.
#pragma once

#include "ktstr/topo/cpu_list.hpp"
#include "ktstr/topo/numa.hpp"
#include "ktstr/topo/observed.hpp"
#include "ktstr/topo/topology.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ktstr {

/// What differs. The comment names the meaning of `subject`, `other`, `expected` and `got`.
enum class mismatch_kind : std::uint8_t {
    cpu_missing = 1,   ///< CPU `subject` is not online.
    cpu_unexpected,    ///< CPU `subject` is online and was not declared.
    siblings,          ///< Threads of CPU `subject`'s core: counts; `other` = the first CPU that differs.
    l1d,               ///< CPUs that share its L1 data cache; like `siblings`.
    l2,                ///< CPUs that share its L2; like `siblings`.
    llc,               ///< CPUs that share its L3; like `siblings`.
    package,           ///< CPUs of its package (one per node); like `siblings`.
    core_id,           ///< CPU `other` has the same core id in the same package and is another core, or the reverse.
    node_missing,      ///< Node `subject` is not online.
    node_unexpected,   ///< Node `subject` is online and was not declared.
    node_cpus,         ///< CPUs of node `subject`: counts; `other` = the first CPU that differs.
    node_memory,       ///< KiB of node `subject`: declared, and seen (none, or more than was declared).
    distance,          ///< From node `subject` to node `other`.
};

/// One difference.
struct mismatch {
    mismatch_kind kind{};
    std::uint32_t subject = 0;
    std::uint32_t other = 0;
    std::uint64_t expected = 0;
    std::uint64_t got = 0;

    friend constexpr bool operator==(mismatch const&, mismatch const&) noexcept = default;
};

/// The CPUs that share the innermost `level` with `cpu`.
enum class share_level : std::uint8_t { core, llc, node };
[[nodiscard]] constexpr cpu_list sharing(topology const& t, std::uint32_t cpu, share_level level) noexcept {
    auto const size = level == share_level::core ? t.threads : level == share_level::llc ? cpus_per_llc(t) : cpus_per_node(t);
    auto const first = cpu / size * size;
    return cpu_list::range(first, first + size - 1);
}

namespace detail {

inline void compare_list(std::vector<mismatch>& out, mismatch_kind kind, std::uint32_t subject, cpu_list const& expected,
                         std::optional<cpu_list> const& got) {
    auto const seen = got.value_or(cpu_list());
    if (auto const first = expected.first_difference(seen))
        out.push_back({kind, subject, *first, expected.count(), seen.count()});
}

inline void compare_cpus(std::vector<mismatch>& out, topology const& t, observed_topology const& seen) {
    std::vector<bool> online(cpus(t), false);
    for (auto const& each : seen.cpus) {
        if (each.cpu >= cpus(t)) {
            out.push_back({mismatch_kind::cpu_unexpected, each.cpu, 0, 0, 1});
            continue;
        }
        online[each.cpu] = true;
        auto const core = sharing(t, each.cpu, share_level::core);
        compare_list(out, mismatch_kind::siblings, each.cpu, core, each.siblings);
        compare_list(out, mismatch_kind::l1d, each.cpu, core, each.l1d);
        compare_list(out, mismatch_kind::l2, each.cpu, core, each.l2);
        compare_list(out, mismatch_kind::llc, each.cpu, sharing(t, each.cpu, share_level::llc), each.l3);
        compare_list(out, mismatch_kind::package, each.cpu, sharing(t, each.cpu, share_level::node), each.package_cpus);
        for (auto const& more : seen.cpus) {
            bool const same_core = each.cpu / t.threads == more.cpu / t.threads;
            bool const same_ids = each.package == more.package && each.core == more.core;
            if (more.cpu < each.cpu && same_core != same_ids) {
                out.push_back({mismatch_kind::core_id, each.cpu, more.cpu, same_core ? 1U : 0U, same_ids ? 1U : 0U});
                break; // one line a CPU says enough
            }
        }
    }
    for (std::uint32_t cpu = 0; cpu < online.size(); ++cpu)
        if (!online[cpu])
            out.push_back({mismatch_kind::cpu_missing, cpu, 0, 1, 0});
}

inline void compare_nodes(std::vector<mismatch>& out, topology const& t, numa_layout const& layout, observed_topology const& seen) {
    auto const count = node_count(t, layout);
    std::vector<bool> online(count, false);
    for (auto const& each : seen.nodes) {
        if (each.node >= count) {
            out.push_back({mismatch_kind::node_unexpected, each.node, 0, 0, 1});
            continue;
        }
        online[each.node] = true;
        auto const per_node = cpus_per_node(t);
        auto const expected =
            each.node < t.nodes ? cpu_list::range(each.node * per_node, each.node * per_node + per_node - 1) : cpu_list();
        compare_list(out, mismatch_kind::node_cpus, each.node, expected, each.cpus);
        // Without declared sizes every node has some; a kernel keeps part of what it is given for itself.
        bool const declared = !layout.memory.empty();
        auto const kib = declared ? layout.memory[each.node].raw / KiB : 0;
        bool const wants_some = !declared || kib != 0;
        if (wants_some != (each.memory_kib != 0) || (declared && each.memory_kib > kib))
            out.push_back({mismatch_kind::node_memory, each.node, 0, kib, each.memory_kib});
        for (std::uint32_t to = 0; to < count; ++to) {
            auto const got = to < each.distances.size() ? each.distances[to] : 0;
            auto const want = distance(t, layout, each.node, to);
            if (got != want)
                out.push_back({mismatch_kind::distance, each.node, to, want, got});
        }
    }
    for (std::uint32_t node = 0; node < count; ++node)
        if (!online[node])
            out.push_back({mismatch_kind::node_missing, node, 0, 1, 0});
}

} // namespace detail

/// Every difference between a valid declaration and what a kernel shows; empty = the guest sees what was declared.
/// A machine of one node needs no node files (a kernel without NUMA shows none).
[[nodiscard]] inline std::vector<mismatch> compare(topology const& t, numa_layout const& layout, observed_topology const& seen) {
    std::vector<mismatch> out;
    detail::compare_cpus(out, t, seen);
    if (node_count(t, layout) > 1 || !seen.nodes.empty())
        detail::compare_nodes(out, t, layout, seen);
    return out;
}

/// One line in English about a difference.
[[nodiscard]] inline std::string to_text(mismatch const& m) {
    auto const subject = std::to_string(m.subject);
    auto const list = [&](std::string_view what) {
        return "cpu " + subject + ": " + std::string(what) + ": declared " + std::to_string(m.expected) + " CPUs, seen " +
               std::to_string(m.got) + "; first difference at cpu " + std::to_string(m.other);
    };
    switch (m.kind) {
    case mismatch_kind::cpu_missing: return "cpu " + subject + ": declared, not online";
    case mismatch_kind::cpu_unexpected: return "cpu " + subject + ": online, not declared";
    case mismatch_kind::siblings: return list("threads of its core");
    case mismatch_kind::l1d: return list("sharing its L1 data cache");
    case mismatch_kind::l2: return list("sharing its L2 cache");
    case mismatch_kind::llc: return list("sharing its last-level cache");
    case mismatch_kind::package: return list("in its package");
    case mismatch_kind::core_id:
        return "cpu " + subject + ": " + (m.expected != 0 ? "declared one core with" : "declared another core than") + " cpu " +
               std::to_string(m.other) + ", their core ids say " + (m.got != 0 ? "the same" : "another");
    case mismatch_kind::node_missing: return "node " + subject + ": declared, not online";
    case mismatch_kind::node_unexpected: return "node " + subject + ": online, not declared";
    case mismatch_kind::node_cpus:
        return "node " + subject + ": declared " + std::to_string(m.expected) + " CPUs, seen " + std::to_string(m.got) +
               "; first difference at cpu " + std::to_string(m.other);
    case mismatch_kind::node_memory:
        return "node " + subject + ": declared " + std::to_string(m.expected) + " KiB of memory, seen " + std::to_string(m.got) + " KiB";
    case mismatch_kind::distance:
        return "node " + subject + " to node " + std::to_string(m.other) + ": declared distance " + std::to_string(m.expected) +
               ", seen " + std::to_string(m.got);
    }
    return "unknown difference " + std::to_string(static_cast<unsigned>(m.kind));
}

} // namespace ktstr
