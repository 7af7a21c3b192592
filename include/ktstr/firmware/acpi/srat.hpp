// SPDX-License-Identifier: Apache-2.0
/// \file
/// SRAT: which node each CPU and each piece of RAM belongs to.
#pragma once

#include "ktstr/abi/acpi.hpp"
#include "ktstr/firmware/acpi/config.hpp"
#include "ktstr/firmware/acpi/madt.hpp"
#include "ktstr/firmware/acpi/table.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ktstr::acpi {

/// The SRAT; proximity domains are node numbers.
[[nodiscard]] inline std::vector<std::byte> make_srat(acpi_config const& config) {
    srat begin;
    begin.head = make_header("SRAT", 3);
    table_bytes out(begin);
    for (std::uint32_t cpu = 0; cpu < config.apic_ids.size(); ++cpu) {
        auto const id = config.apic_ids[cpu];
        auto const node = place_of(config.shape, cpu).node;
        if (id < first_wide_apic_id) {
            srat_local_apic entry;
            entry.domain_low = static_cast<std::uint8_t>(node);
            for (std::size_t i = 0; i < 3; ++i)
                entry.domain_high[i] = static_cast<std::uint8_t>(node >> (8 * (i + 1)));
            entry.apic_id = static_cast<std::uint8_t>(id);
            entry.flags = srat_enabled;
            out.append(entry);
        } else {
            srat_x2apic entry;
            entry.domain = node;
            entry.apic_id = id;
            entry.flags = srat_enabled;
            out.append(entry);
        }
    }
    for (auto const& region : config.ram) {
        srat_memory entry;
        entry.domain = region.node;
        entry.base = region.range.start.raw;
        entry.size = region.range.size.raw;
        entry.flags = srat_enabled;
        out.append(entry);
    }
    return std::move(out).close();
}

} // namespace ktstr::acpi
