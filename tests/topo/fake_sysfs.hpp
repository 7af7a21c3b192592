// SPDX-License-Identifier: Apache-2.0
/// \file
/// A sysfs in memory that shows a declared topology the way Linux does.
#pragma once

#include "ktstr/topo/mismatch.hpp"

#include <map>
#include <string>

namespace ktstr::test {

struct fake_sysfs {
    std::map<std::string, std::string> files;
    std::string broken{}; ///< Reading this path fails with errc::permission.

    result<std::string> read(char const* path) {
        if (path == broken)
            return fail(errc::permission, "fake_sysfs", 0);
        auto const at = files.find(path);
        if (at == files.end())
            return fail(errc::not_found, "fake_sysfs", 0);
        return at->second;
    }
};

inline std::string const cpu_root = "/sys/devices/system/cpu/";
inline std::string const node_root = "/sys/devices/system/node/";

inline fake_sysfs show(topology const& t, numa_layout const& layout = {}) {
    fake_sysfs out;
    auto const line = [](auto const& text) { return std::string(text) + '\n'; };
    out.files[cpu_root + "online"] = line(to_text(cpu_list::range(0, cpus(t) - 1)));
    for (std::uint32_t cpu = 0; cpu < cpus(t); ++cpu) {
        auto const base = cpu_root + "cpu" + std::to_string(cpu);
        auto const at = place_of(t, cpu);
        out.files[base + "/topology/physical_package_id"] = line(std::to_string(at.node));
        out.files[base + "/topology/core_id"] = line(std::to_string(at.llc * 64 + at.core));
        out.files[base + "/topology/thread_siblings_list"] = line(to_text(sharing(t, cpu, share_level::core)));
        out.files[base + "/topology/core_siblings_list"] = line(to_text(sharing(t, cpu, share_level::node)));
        struct row {
            char const* level;
            char const* type;
            share_level share;
        };
        unsigned index = 0;
        for (auto const& [level, type, share] : {row{"1\n", "Data\n", share_level::core}, row{"1\n", "Instruction\n", share_level::core},
                 row{"2\n", "Unified\n", share_level::core}, row{"3\n", "Unified\n", share_level::llc}}) {
            auto const cache = base + "/cache/index" + std::to_string(index++);
            out.files[cache + "/level"] = level;
            out.files[cache + "/type"] = type;
            out.files[cache + "/shared_cpu_list"] = line(to_text(sharing(t, cpu, share)));
        }
    }
    auto const nodes = node_count(t, layout);
    out.files[node_root + "online"] = line(to_text(cpu_list::range(0, nodes - 1)));
    for (std::uint32_t node = 0; node < nodes; ++node) {
        auto const base = node_root + "node" + std::to_string(node);
        auto const first = node * cpus_per_node(t);
        out.files[base + "/cpulist"] = line(node < t.nodes ? to_text(cpu_list::range(first, first + cpus_per_node(t) - 1)) : "");
        auto const kib = layout.memory.empty() ? 1000000 : layout.memory[node].raw / KiB;
        out.files[base + "/meminfo"] =
            "Node " + std::to_string(node) + " MemTotal:       " + std::to_string(kib - kib / 50) + " kB\nNode 0 MemFree: 1 kB\n";
        std::string distances;
        for (std::uint32_t to = 0; to < nodes; ++to)
            distances += (to == 0 ? "" : " ") + std::to_string(distance(t, layout, node, to));
        out.files[base + "/distance"] = line(distances);
    }
    return out;
}

} // namespace ktstr::test
