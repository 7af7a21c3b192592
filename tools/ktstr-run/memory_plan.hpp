// SPDX-License-Identifier: Apache-2.0
/// \file
/// How much memory a guest needs, by what: the rule behind `--memory auto` and the text that refuses too little.
#pragma once

#include "ktstr/base/checked.hpp"
#include "ktstr/base/units.hpp"
#include "support/quantity.hpp"

#include <algorithm>
#include <cstdint>
#include <string>

namespace ktstr::tool {

/// What takes memory in a guest.
struct memory_needs {
    bytes kernel{};   ///< The image with its bss.
    bytes packed{};   ///< The initramfs as loaded; in use until all of it is unpacked.
    bytes unpacked{}; ///< Its files, which stay.
    std::uint32_t cpus = 1;
    std::uint32_t nodes = 1;
    std::uint32_t workers = 0;
};

/// One row of the breakdown each, in bytes. `page_structs` depends on the total, so it is part of the solution.
struct memory_breakdown {
    bytes kernel, initramfs, per_cpu, per_node, workers, reserve, page_structs;
    [[nodiscard]] constexpr bytes total() const noexcept {
        return kernel + initramfs + per_cpu + per_node + workers + reserve + page_structs;
    }
};

inline constexpr std::uint64_t memory_per_cpu = 3 * MiB;  ///< Per-CPU areas, stacks of its kernel threads, slab caches.
inline constexpr std::uint64_t memory_per_node = 4 * MiB; ///< Node and zone structures, a share of the reserves.
inline constexpr std::uint64_t memory_per_worker = 256 * KiB;
inline constexpr std::uint64_t memory_reserve = 48 * MiB; ///< What a distribution kernel takes on its way to pid 1.
inline constexpr std::uint64_t page_struct_share = 64;    ///< 64 bytes for each page of 4096 bytes.
inline constexpr std::uint64_t memory_auto_least = 256 * MiB;
inline constexpr std::uint64_t memory_auto_least_per_node = 128 * MiB;

/// The least memory with which the guest is expected to reach its end, row by row.
[[nodiscard]] constexpr memory_breakdown break_down(memory_needs const& n) noexcept {
    memory_breakdown out{n.kernel,
                         n.packed + n.unpacked,
                         bytes{n.cpus * memory_per_cpu},
                         bytes{n.nodes * memory_per_node},
                         bytes{n.workers * memory_per_worker},
                         bytes{memory_reserve},
                         bytes{0}};
    out.page_structs = bytes{out.total().raw / (page_struct_share - 1)};
    return out;
}

/// What `--memory auto` takes: the least with a quarter on top, in steps of 64 MiB, never below what each node wants.
[[nodiscard]] constexpr bytes memory_auto(memory_needs const& n) noexcept {
    auto const least = break_down(n).total().raw;
    auto const step = 64 * MiB;
    auto const wanted = std::max({least + least / 4, memory_auto_least, n.nodes * memory_auto_least_per_node});
    return bytes{(wanted + step - 1) / step * step};
}

/// "kernel 40M + initramfs 9M + ... = 118M".
[[nodiscard]] inline std::string text(memory_breakdown const& b) {
    return "kernel " + size_text(b.kernel.raw) + " + initramfs (packed and unpacked) " + size_text(b.initramfs.raw) +
           " + CPUs " + size_text(b.per_cpu.raw) + " + NUMA nodes " + size_text(b.per_node.raw) + " + workers " +
           size_text(b.workers.raw) + " + page structs " + size_text(b.page_structs.raw) + " + reserve " +
           size_text(b.reserve.raw) + " = " + size_text(b.total().raw);
}

} // namespace ktstr::tool
