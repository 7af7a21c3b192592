// SPDX-License-Identifier: Apache-2.0
/// \file
/// What may differ between NUMA nodes: memory per node, nodes without CPUs, and the distance matrix, with their text
/// forms ("1G,512M,0" and "10,20;20,10"). The companion of `topology` that needs memory of its own.
#pragma once

#include "ktstr/base/checked.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/topo/topology.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace ktstr {

/// SLIT distance of a node to itself (ACPI 6.5 section 5.2.17), and between nodes when nothing else is said.
inline constexpr std::uint8_t local_distance = 10;
inline constexpr std::uint8_t default_distance = 20;
/// The largest distance that may be declared; 255 means "unreachable" in a SLIT, which no kernel brings up.
inline constexpr std::uint8_t max_distance = 254;
/// Node memory is a multiple of this, and no node with memory has less than `min_node_memory`: kernels before 6.9 drop
/// nodes below 4 MiB, and per-node kernel data has to fit.
inline constexpr bytes node_memory_granule{1 * MiB};
inline constexpr bytes min_node_memory{16 * MiB};

/// Memory and distances of the nodes. The nodes of the topology come first; memory-only nodes follow.
struct numa_layout {
    /// One size per node, 0 = node without memory; more sizes than the topology has nodes = memory-only nodes.
    /// Empty = the machine's memory is divided evenly.
    std::vector<bytes> memory{};
    /// Row-major square matrix over all nodes. Empty = 10 on the diagonal, 20 elsewhere.
    std::vector<std::uint8_t> distances{};

    friend constexpr bool operator==(numa_layout const&, numa_layout const&) noexcept = default;
};

/// All nodes, memory-only ones included.
[[nodiscard]] constexpr std::uint32_t node_count(topology const& t, numa_layout const& layout) noexcept {
    auto const sized = static_cast<std::uint32_t>(layout.memory.size());
    return sized > t.nodes ? sized : t.nodes;
}

/// The distance from node `from` to node `to`, both below `node_count`, of a valid layout.
[[nodiscard]] constexpr std::uint8_t distance(topology const& t, numa_layout const& layout, std::uint32_t from,
                                              std::uint32_t to) noexcept {
    if (layout.distances.empty())
        return from == to ? local_distance : default_distance;
    return layout.distances[static_cast<std::size_t>(from) * node_count(t, layout) + to];
}

/// Checks a layout against a valid topology. `invalid_argument`: "numa.memory.count" (fewer sizes than nodes; value =
/// sizes), "numa.memory.granule" and "numa.memory.small" (value = node), "numa.memory.empty_node" (a node with neither
/// CPUs nor memory; value = node), "numa.memory.none" (no memory at all), "numa.distance.count" (not square for this
/// machine; value = numbers given), "numa.distance.diagonal", "numa.distance.symmetry" (value = index into the matrix).
/// `out_of_range`: "numa.nodes" (value = nodes), "numa.distance" (outside 11..254 off the diagonal; value = index).
[[nodiscard]] constexpr result<> validate(topology const& t, numa_layout const& layout) noexcept {
    if (layout.memory.size() > max_nodes)
        return fail(errc::out_of_range, "numa.nodes", layout.memory.size());
    if (!layout.memory.empty()) {
        if (layout.memory.size() < t.nodes)
            return fail(errc::invalid_argument, "numa.memory.count", layout.memory.size());
        bool any = false;
        for (std::uint32_t node = 0; node < layout.memory.size(); ++node) {
            auto const size = layout.memory[node];
            any = any || size.raw != 0;
            if (size.raw == 0 && node >= t.nodes)
                return fail(errc::invalid_argument, "numa.memory.empty_node", node);
            if (size.raw % node_memory_granule.raw != 0)
                return fail(errc::invalid_argument, "numa.memory.granule", node);
            if (size.raw != 0 && size < min_node_memory)
                return fail(errc::invalid_argument, "numa.memory.small", node);
        }
        if (!any)
            return fail(errc::invalid_argument, "numa.memory.none");
    }
    if (layout.distances.empty())
        return {};
    std::size_t const n = node_count(t, layout);
    if (layout.distances.size() != n * n)
        return fail(errc::invalid_argument, "numa.distance.count", layout.distances.size());
    for (std::size_t i = 0; i < layout.distances.size(); ++i) {
        auto const row = i / n;
        auto const column = i % n;
        auto const value = layout.distances[i];
        if (row == column && value != local_distance)
            return fail(errc::invalid_argument, "numa.distance.diagonal", i);
        if (row != column && (value <= local_distance || value > max_distance))
            return fail(errc::out_of_range, "numa.distance", i);
        if (value != layout.distances[column * n + row])
            return fail(errc::invalid_argument, "numa.distance.symmetry", i);
    }
    return {};
}

/// The memory of every node. Declared sizes are returned as they are; otherwise `total` (rounded down to the granule)
/// is divided evenly over the nodes with CPUs, whole granules each, and node 0 gets the rest.
/// `no_space` at "numa.memory.total" with the total when a node would fall below `min_node_memory`.
[[nodiscard]] constexpr result<std::vector<bytes>> node_memory(topology const& t, numa_layout const& layout, bytes total) {
    if (!layout.memory.empty())
        return layout.memory;
    auto const granules = total.raw / node_memory_granule.raw;
    auto const each = granules / t.nodes;
    if (bytes{each * node_memory_granule.raw} < min_node_memory)
        return fail(errc::no_space, "numa.memory.total", total.raw);
    std::vector<bytes> out(t.nodes, bytes{each * node_memory_granule.raw});
    out[0] = out[0] + bytes{granules % t.nodes * node_memory_granule.raw};
    return out;
}

namespace detail {
/// Reads decimal digits at `at`, moving it; the callers say what a missing or too long number means.
[[nodiscard]] constexpr result<std::uint64_t> parse_digits(std::string_view text, std::size_t& at, std::string_view where) noexcept {
    auto const start = at;
    std::uint64_t number = 0;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
        auto const bigger = checked_mul(number, std::uint64_t{10});
        auto const sum = bigger ? checked_add(*bigger, static_cast<std::uint64_t>(text[at] - '0')) : std::nullopt;
        if (!sum)
            return fail(errc::out_of_range, where, start);
        number = *sum;
        ++at;
    }
    if (at == start)
        return fail(errc::bad_format, where, at);
    return number;
}
} // namespace detail

/// Reads sizes with units K, M, G or T (binary; "iB" may follow) separated by commas; only 0 may stand bare.
/// `bad_format` at "numa.memory.text" with the offset of what does not fit; `out_of_range` there for a size beyond
/// 64 bits, and at "numa.nodes" for more sizes than `max_nodes`.
[[nodiscard]] constexpr result<std::vector<bytes>> parse_node_memory(std::string_view text) {
    constexpr std::string_view where = "numa.memory.text";
    std::vector<bytes> out;
    std::size_t at = 0;
    for (;;) {
        auto const start = at;
        KTSTR_TRY(auto const number, detail::parse_digits(text, at, where));
        std::uint64_t unit = 0;
        if (at < text.size()) {
            switch (text[at]) {
            case 'K': case 'k': unit = KiB; break;
            case 'M': case 'm': unit = MiB; break;
            case 'G': case 'g': unit = GiB; break;
            case 'T': case 't': unit = 1024 * GiB; break;
            default: break;
            }
        }
        if (unit != 0) {
            ++at;
            if (text.substr(at).starts_with("iB"))
                at += 2;
        } else if (number != 0) {
            return fail(errc::bad_format, where, at);
        }
        auto const size = checked_mul(number, unit);
        if (!size)
            return fail(errc::out_of_range, where, start);
        if (out.size() == max_nodes)
            return fail(errc::out_of_range, "numa.nodes", out.size() + 1);
        out.push_back(bytes{*size});
        if (at == text.size())
            return out;
        if (text[at] != ',')
            return fail(errc::bad_format, where, at);
        ++at;
    }
}

/// Reads a square matrix, rows separated by ';', numbers by ',' ("10,20;20,10").
/// `bad_format` at "numa.distance.text" with the offset of what does not fit, `invalid_argument` at
/// "numa.distance.square" with the number of the row whose length differs from the number of rows, `out_of_range` at
/// "numa.distance.text" for a number above 255, and at "numa.nodes" for more columns or rows than `max_nodes`.
[[nodiscard]] constexpr result<std::vector<std::uint8_t>> parse_distances(std::string_view text) {
    constexpr std::string_view where = "numa.distance.text";
    std::vector<std::uint8_t> out;
    std::vector<std::size_t> widths(1, 0);
    std::size_t at = 0;
    for (;;) {
        auto const start = at;
        KTSTR_TRY(auto const number, detail::parse_digits(text, at, where));
        if (number > 255)
            return fail(errc::out_of_range, where, start);
        if (widths.back() == max_nodes)
            return fail(errc::out_of_range, "numa.nodes", max_nodes + 1);
        out.push_back(static_cast<std::uint8_t>(number));
        ++widths.back();
        if (at == text.size())
            break;
        if (text[at] == ';') {
            if (widths.size() == max_nodes)
                return fail(errc::out_of_range, "numa.nodes", max_nodes + 1);
            widths.push_back(0);
        } else if (text[at] != ',') {
            return fail(errc::bad_format, where, at);
        }
        ++at;
    }
    for (std::size_t row = 0; row < widths.size(); ++row)
        if (widths[row] != widths.size())
            return fail(errc::invalid_argument, "numa.distance.square", row);
    return out;
}

} // namespace ktstr
