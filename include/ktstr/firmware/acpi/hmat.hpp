// SPDX-License-Identifier: Apache-2.0
/// \file
/// HMAT: what memory each node's CPUs reach, how late and how fast.
#pragma once

#include "ktstr/abi/acpi.hpp"
#include "ktstr/firmware/acpi/config.hpp"
#include "ktstr/firmware/acpi/table.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ktstr::acpi {

/// Local DRAM and the memory of a node without CPUs, as declared; both are scaled by the distance.
struct memory_speed {
    std::uint32_t latency_ns;
    std::uint32_t bandwidth_mbs;
};
inline constexpr memory_speed local_dram{90, 40000};
inline constexpr memory_speed far_memory{150, 20000};

namespace detail {
[[nodiscard]] inline bool has_memory(acpi_config const& config, std::uint32_t node) noexcept {
    return std::any_of(config.ram.begin(), config.ram.end(), [node](ram_region const& each) { return each.node == node; });
}
/// The node with CPUs that is nearest to `node`; itself when it has some.
[[nodiscard]] inline std::uint32_t nearest_initiator(acpi_config const& config, std::uint32_t node) noexcept {
    std::uint32_t best = 0;
    for (std::uint32_t each = 1; each < config.shape.nodes; ++each)
        if (distance(config.shape, config.layout, each, node) < distance(config.shape, config.layout, best, node))
            best = each;
    return node < config.shape.nodes ? node : best;
}
} // namespace detail

/// The HMAT: the best initiator of each node with memory, access latency (ns) and access bandwidth (MB/s).
[[nodiscard]] inline std::vector<std::byte> make_hmat(acpi_config const& config) {
    std::vector<std::uint32_t> targets;
    for (std::uint32_t node = 0; node < node_count(config.shape, config.layout); ++node)
        if (detail::has_memory(config, node))
            targets.push_back(node);
    hmat begin;
    begin.head = make_header("HMAT", 2);
    table_bytes out(begin);
    for (auto const node : targets) {
        hmat_domain entry;
        entry.flags = 1;
        entry.initiator = detail::nearest_initiator(config, node);
        entry.memory = node;
        out.append(entry);
    }
    auto const locality = [&](std::uint8_t data_type, std::uint64_t unit, auto&& value) {
        hmat_locality entry;
        auto const initiators = config.shape.nodes;
        entry.length = static_cast<std::uint32_t>(sizeof entry + 4 * (initiators + targets.size()) + 2 * initiators * targets.size());
        entry.data_type = data_type;
        entry.initiators = initiators;
        entry.targets = static_cast<std::uint32_t>(targets.size());
        entry.base_unit = unit;
        out.append(entry);
        for (std::uint32_t from = 0; from < initiators; ++from)
            out.append(le32(from));
        for (auto const to : targets)
            out.append(le32(to));
        for (std::uint32_t from = 0; from < initiators; ++from)
            for (auto const to : targets) {
                auto const& speed = to < initiators ? local_dram : far_memory;
                out.append(le16(static_cast<std::uint16_t>(value(speed, distance(config.shape, config.layout, from, to)))));
            }
    };
    locality(hmat_latency, 1000, [](memory_speed const& speed, std::uint32_t away) { return speed.latency_ns * away / 10; });
    locality(hmat_bandwidth, 1, [](memory_speed const& speed, std::uint32_t away) { return speed.bandwidth_mbs * 10 / away; });
    return std::move(out).close();
}

} // namespace ktstr::acpi
