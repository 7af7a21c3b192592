// SPDX-License-Identifier: Apache-2.0
/// \file
/// Where guest RAM lies: regions of guest physical address space, and RAM laid out around the MMIO hole.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace ktstr {

/// A half-open range `[start, start + size)` of guest physical addresses.
struct gpa_range {
    gpa start{};
    bytes size{};

    [[nodiscard]] constexpr gpa end() const noexcept { return start + size.raw; }
    [[nodiscard]] constexpr bool contains(gpa at) const noexcept { return at >= start && at - start < size.raw; }
    friend constexpr bool operator==(gpa_range const&, gpa_range const&) noexcept = default;
};

/// One piece of RAM that belongs to one NUMA node and is contiguous in guest physical space.
struct ram_region {
    gpa_range range{};
    std::uint32_t node = 0;
    bytes backing_offset{}; ///< Where the piece starts in the machine's backing memory (all pieces are adjacent there).
    friend constexpr bool operator==(ram_region const&, ram_region const&) noexcept = default;
};

/// Lays out `per_node` bytes of RAM (each a multiple of 4 KiB; 0 = node without memory) from address 0 upwards, node
/// after node, jumping over `hole`; nothing is lost to it. A node that straddles the hole gets two regions.
/// Regions come back sorted and disjoint; their backing offsets are contiguous from 0. `errc::invalid_argument` for a
/// size that is no multiple of 4 KiB, `errc::out_of_range` when RAM would pass 2^52.
[[nodiscard]] inline result<std::vector<ram_region>> lay_out_ram(std::span<bytes const> per_node, gpa_range hole) {
    constexpr auto address_limit = std::uint64_t{1} << 52; // the widest physical address x86_64 and aarch64 have
    std::vector<ram_region> out;
    std::uint64_t at = 0;
    std::uint64_t backing = 0;
    for (std::uint32_t node = 0; node < per_node.size(); ++node) {
        std::uint64_t left = per_node[node].raw;
        if (left % 4096 != 0)
            return fail(errc::invalid_argument, "ram.node_size", left);
        while (left > 0) {
            if (hole.size.raw != 0 && hole.contains(gpa{at}))
                at = hole.end().raw;
            std::uint64_t piece = left;
            if (hole.size.raw != 0 && at < hole.start.raw)
                piece = std::min(piece, hole.start.raw - at);
            if (at > address_limit || piece > address_limit - at)
                return fail(errc::out_of_range, "ram.layout", at);
            out.push_back({{gpa{at}, bytes{piece}}, node, bytes{backing}});
            at += piece;
            backing += piece;
            left -= piece;
        }
    }
    return out;
}

} // namespace ktstr
