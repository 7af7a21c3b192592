// SPDX-License-Identifier: Apache-2.0
/// \file
/// The CPUID leaves that describe caches and topology, in Intel's and in AMD's words.
///
/// Sources: Intel SDM volume 2A "CPUID" (leaves 1, 4, 0xB, 0x1F), AMD APM volume 3 appendix E (0x80000005, 0x80000006,
/// 0x80000008, 0x8000001D, 0x8000001E, 0x80000026). How Linux reads them: 6.1 arch/x86/kernel/cpu/{topology,amd,intel,
/// cacheinfo}.c; from 6.9 on topology_{ext,amd,common}.c. A node is a package; an LLC is Intel's die and AMD's complex.
#pragma once

#include "ktstr/arch/x86_64/apic_id.hpp"
#include "ktstr/arch/x86_64/cpuid_table.hpp"
#include "ktstr/topo/topology.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace ktstr::detail {

enum class cache_type : std::uint8_t { data = 1, instruction = 2, unified = 3 };

/// One cache as the guest is told. Sizes are those of a mid-size server part; nothing measures them.
struct cache_shape {
    std::uint32_t level;
    cache_type type;
    std::uint32_t kib;
    std::uint32_t ways;
};
inline constexpr std::uint32_t cache_line = 64;
inline constexpr std::array guest_caches{
    cache_shape{1, cache_type::data, 32, 8},
    cache_shape{1, cache_type::instruction, 32, 8},
    cache_shape{2, cache_type::unified, 1024, 8},
    cache_shape{3, cache_type::unified, 16384, 16},
};

/// A number capped to a field of `bits` bits.
[[nodiscard]] constexpr std::uint32_t capped(std::uint32_t value, unsigned bits) noexcept {
    return std::min(value, (std::uint32_t{1} << bits) - 1);
}

/// Everything a leaf needs to know about one CPU.
struct cpu_identity {
    topology shape;
    apic_layout fields;
    std::uint32_t apic = 0;
    cpu_place place;

    [[nodiscard]] constexpr std::uint32_t per_package() const noexcept { return cpus_per_node(shape); }
};

/// The deterministic cache parameters of leaf 4 (`intel`) or 0x8000001D, ending with a "no more caches" answer.
/// Sharing counts ids, not CPUs: Linux rounds Intel's number up to a power of two itself, and divides ids by AMD's.
[[nodiscard]] constexpr std::vector<cpuid_regs> cache_leaves(cpu_identity const& id, bool intel) {
    std::vector<cpuid_regs> out;
    for (auto const& cache : guest_caches) {
        auto const shift = cache.level == 3 ? id.fields.llc_shift : id.fields.core_shift;
        cpuid_regs regs;
        regs.eax = static_cast<std::uint32_t>(cache.type) | cache.level << 5 | 1U << 8 |
                   capped((1U << shift) - 1, 12) << 14;
        if (intel)
            regs.eax |= capped((1U << (id.fields.package_shift - id.fields.core_shift)) - 1, 6) << 26;
        regs.ebx = (cache_line - 1) | (cache.ways - 1) << 22;
        regs.ecx = cache.kib * 1024 / cache_line / cache.ways - 1;
        regs.edx = cache.level == 3 ? 1U << 0 : 0; // write-back invalidate does not reach the lower caches of others
        out.push_back(regs);
    }
    out.push_back({});
    return out;
}

/// One level of an extended topology leaf.
struct topology_level {
    std::uint32_t type;
    unsigned shift; ///< Bits to drop from an id to get the id of the next level.
    std::uint32_t cpus;
};

/// The answers of leaf 0xB, 0x1F or 0x80000026 for `levels`, ending with an invalid level.
[[nodiscard]] constexpr std::vector<cpuid_regs> topology_leaf(cpu_identity const& id, std::span<topology_level const> levels) {
    std::vector<cpuid_regs> out;
    std::uint32_t index = 0;
    for (auto const& level : levels) {
        out.push_back({level.shift, capped(level.cpus, 16), index | level.type << 8, id.apic});
        ++index;
    }
    out.push_back({0, 0, index, id.apic});
    return out;
}

/// Leaf 0xB: threads and cores; a core level spans the package.
[[nodiscard]] constexpr std::vector<cpuid_regs> leaf_0b(cpu_identity const& id) {
    std::array const levels{topology_level{1, id.fields.core_shift, id.shape.threads},
                            topology_level{2, id.fields.package_shift, id.per_package()}};
    return topology_leaf(id, levels);
}

/// Leaf 0x1F: threads, cores of one LLC, and LLCs as dies when a package has more than one. LLCs of a single CPU are no
/// dies: Linux before 6.9 takes the size of the core level for that of the package and would see every CPU alone.
[[nodiscard]] constexpr std::vector<cpuid_regs> leaf_1f(cpu_identity const& id) {
    if (cpus_per_llc(id.shape) == 1)
        return leaf_0b(id);
    std::array const levels{topology_level{1, id.fields.core_shift, id.shape.threads},
                            topology_level{2, id.fields.llc_shift, cpus_per_llc(id.shape)},
                            topology_level{5, id.fields.package_shift, id.per_package()}};
    return topology_leaf(id, std::span(levels).first(llcs_per_node(id.shape) > 1 ? 3 : 2));
}

/// Leaf 0x80000026: core, complex (one LLC), die (one complex each) and socket.
[[nodiscard]] constexpr std::vector<cpuid_regs> leaf_80000026(cpu_identity const& id) {
    std::array const levels{topology_level{1, id.fields.core_shift, id.shape.threads},
                            topology_level{2, id.fields.llc_shift, cpus_per_llc(id.shape)},
                            topology_level{3, id.fields.llc_shift, cpus_per_llc(id.shape)},
                            topology_level{4, id.fields.package_shift, id.per_package()}};
    return topology_leaf(id, levels);
}

/// Leaf 0x8000001E: extended id, core in its package and threads per core, node and nodes per package.
[[nodiscard]] constexpr cpuid_regs leaf_8000001e(cpu_identity const& id) noexcept {
    auto const core = id.place.llc % llcs_per_node(id.shape) * id.shape.cores + id.place.core;
    return {id.apic, capped(core, 8) | capped(id.shape.threads - 1, 8) << 8, capped(id.place.node, 8), 0};
}

/// AMD's associativity code of 0x80000006 (APM volume 3 table E-4) for the ways in use here.
[[nodiscard]] constexpr std::uint32_t amd_ways_code(std::uint32_t ways) noexcept {
    return ways >= 16 ? 8 : ways >= 8 ? 6 : 2;
}

/// 0x80000005 ECX (data) and EDX (instruction): size, ways, one line per tag, line size.
[[nodiscard]] constexpr std::uint32_t amd_l1(cache_shape const& cache) noexcept {
    return cache.kib << 24 | cache.ways << 16 | 1U << 8 | cache_line;
}
/// 0x80000006 ECX.
[[nodiscard]] constexpr std::uint32_t amd_l2(cache_shape const& cache) noexcept {
    return cache.kib << 16 | amd_ways_code(cache.ways) << 12 | 1U << 8 | cache_line;
}
/// 0x80000006 EDX; Linux takes zero here for "no L3 at all".
[[nodiscard]] constexpr std::uint32_t amd_l3(cache_shape const& cache) noexcept {
    return cache.kib / 512 << 18 | amd_ways_code(cache.ways) << 12 | 1U << 8 | cache_line;
}

} // namespace ktstr::detail
