// SPDX-License-Identifier: Apache-2.0
/// \file
/// Named machine shapes.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/topo/numa.hpp"
#include "ktstr/topo/topology.hpp"

#include <array>
#include <span>
#include <string_view>

namespace ktstr {

/// A shape with a name. `node_memory` and `distances` are the text forms of `numa_layout` (empty = default); sizes in
/// them are what the machine gets, whatever else is asked for.
struct preset {
    std::string_view name;
    topology shape;
    std::string_view about;
    std::string_view node_memory{};
    std::string_view distances{};
};

namespace detail {
inline constexpr std::array preset_table{
    preset{"single", {1, 1, 1, 1}, "one CPU: no balancing at all"},
    preset{"pair", {1, 1, 2, 1}, "two cores that share everything: the smallest machine that balances"},
    preset{"smt-core", {1, 1, 1, 2}, "one core with two threads: every choice is a sibling"},
    preset{"tiny-1llc", {1, 1, 4, 1}, "four cores, one cache"},
    preset{"tiny-2llc", {1, 2, 2, 1}, "four cores in two caches: the smallest cache choice"},
    preset{"odd-3llc", {1, 3, 3, 1}, "nothing is a power of two"},
    preset{"odd-5llc", {1, 5, 3, 1}, "an odd number of caches with odd core counts"},
    preset{"odd-7llc", {1, 7, 2, 1}, "seven caches: LLC masks with a prime count"},
    preset{"llc-each", {1, 8, 1, 1}, "a cache per core: no two CPUs share one"},
    preset{"smt-2llc", {1, 2, 2, 2}, "two caches with SMT"},
    preset{"smt-3llc", {1, 3, 2, 2}, "three caches with SMT"},
    preset{"smt4-2llc", {1, 2, 2, 4}, "four threads per core"},
    preset{"numa2-2llc", {2, 2, 2, 2}, "two small nodes with SMT"},
    preset{"numa2-4llc", {2, 4, 4, 1}, "two nodes with two caches each"},
    preset{"numa4-4llc", {4, 4, 2, 2}, "four nodes, near and far", "", "10,16,32,32;16,10,32,32;32,32,10,16;32,32,16,10"},
    preset{"numa4-ring", {4, 4, 2, 1}, "four nodes in a ring: opposite corners are two hops apart", "",
           "10,20,30,20;20,10,20,30;30,20,10,20;20,30,20,10"},
    preset{"numa2-bare", {2, 2, 2, 1}, "the second node has CPUs and no memory", "768M,0", ""},
    preset{"cxl-2llc", {1, 2, 2, 1}, "a second node of memory without CPUs", "512M,256M", "10,24;24,10"},
    preset{"medium-4llc", {1, 4, 4, 2}, "32 CPUs, desktop chiplets"},
    preset{"medium-4llc-nosmt", {1, 4, 8, 1}, "32 cores without SMT"},
    preset{"medium-8llc", {1, 8, 4, 2}, "64 CPUs in eight caches"},
    preset{"medium-8llc-nosmt", {1, 8, 8, 1}, "64 cores in eight caches"},
    preset{"large-4llc", {1, 4, 16, 2}, "128 CPUs, wide caches"},
    preset{"large-4llc-nosmt", {1, 4, 32, 1}, "128 cores, wide caches"},
    preset{"large-8llc", {1, 8, 8, 2}, "128 CPUs, a server socket of chiplets"},
    preset{"large-8llc-nosmt", {1, 8, 16, 1}, "128 cores in eight caches"},
    preset{"near-max-llc", {1, 15, 8, 2}, "240 CPUs in fifteen caches"},
    preset{"near-max-llc-nosmt", {1, 15, 16, 1}, "240 cores in fifteen caches"},
    preset{"max-cpu", {1, 14, 9, 2}, "252 CPUs with SMT: the limit"},
    preset{"max-cpu-nosmt", {1, 14, 18, 1}, "252 cores: the limit"},
    preset{"numa2-8llc", {2, 8, 8, 2}, "a two-socket server"},
    preset{"numa2-8llc-nosmt", {2, 8, 16, 1}, "a two-socket server without SMT"},
    preset{"numa4-8llc", {4, 8, 4, 1}, "four nodes with two caches each"},
    preset{"numa4-12llc", {4, 12, 8, 2}, "192 CPUs: four nodes with three caches each"},
};
} // namespace detail

/// All presets, small ones first. Names are unique and every shape and layout is valid.
[[nodiscard]] constexpr std::span<preset const> presets() noexcept { return detail::preset_table; }

/// The preset called `name`, exactly; null when there is none.
[[nodiscard]] constexpr preset const* find_preset(std::string_view name) noexcept {
    for (auto const& each : presets())
        if (each.name == name)
            return &each;
    return nullptr;
}

/// The memory and distances of a preset.
[[nodiscard]] constexpr result<numa_layout> layout_of(preset const& which) {
    numa_layout out;
    if (!which.node_memory.empty()) {
        KTSTR_TRY(out.memory, parse_node_memory(which.node_memory));
    }
    if (!which.distances.empty()) {
        KTSTR_TRY(out.distances, parse_distances(which.distances));
    }
    return out;
}

} // namespace ktstr
