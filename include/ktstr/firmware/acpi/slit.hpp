// SPDX-License-Identifier: Apache-2.0
/// \file
/// SLIT: how far the nodes are from each other.
#pragma once

#include "ktstr/abi/acpi.hpp"
#include "ktstr/firmware/acpi/config.hpp"
#include "ktstr/firmware/acpi/table.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ktstr::acpi {

/// The distance matrix over all nodes, memory-only ones included.
[[nodiscard]] inline std::vector<std::byte> make_slit(acpi_config const& config) {
    auto const nodes = node_count(config.shape, config.layout);
    slit begin;
    begin.head = make_header("SLIT", 1);
    begin.count = nodes;
    table_bytes out(begin);
    for (std::uint32_t from = 0; from < nodes; ++from)
        for (std::uint32_t to = 0; to < nodes; ++to)
            out.append(distance(config.shape, config.layout, from, to));
    return std::move(out).close();
}

} // namespace ktstr::acpi
