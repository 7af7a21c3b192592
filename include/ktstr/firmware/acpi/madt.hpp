// SPDX-License-Identifier: Apache-2.0
/// \file
/// MADT: the CPUs by APIC id, the IOAPIC, and where NMIs arrive.
#pragma once

#include "ktstr/abi/acpi.hpp"
#include "ktstr/firmware/acpi/config.hpp"
#include "ktstr/firmware/acpi/table.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ktstr::acpi {

/// APIC ids from this one up have x2APIC entries (ACPI 6.5 section 5.2.12.12 wants xAPIC entries for those below).
inline constexpr std::uint32_t first_wide_apic_id = 255;

/// The MADT; CPUs come in CPU order, which is the order in which Linux numbers them. ISA interrupts need no override:
/// with reduced hardware Linux takes trigger and polarity of each line from the device that uses it.
[[nodiscard]] inline std::vector<std::byte> make_madt(acpi_config const& config) {
    madt begin;
    begin.head = make_header("APIC", 5);
    begin.local_apic = static_cast<std::uint32_t>(config.local_apic.raw);
    table_bytes out(begin);
    bool any_wide = false;
    for (std::uint32_t cpu = 0; cpu < config.apic_ids.size(); ++cpu) {
        auto const id = config.apic_ids[cpu];
        if (id < first_wide_apic_id) {
            madt_local_apic entry;
            entry.uid = static_cast<std::uint8_t>(cpu);
            entry.apic_id = static_cast<std::uint8_t>(id);
            entry.flags = madt_enabled;
            out.append(entry);
        } else {
            madt_x2apic entry;
            entry.apic_id = id;
            entry.flags = madt_enabled;
            entry.uid = cpu;
            out.append(entry);
            any_wide = true;
        }
    }
    madt_ioapic ioapic;
    ioapic.address = static_cast<std::uint32_t>(config.ioapic.raw);
    out.append(ioapic);
    madt_local_nmi nmi;
    nmi.uid = 0xff;
    nmi.lint = 1;
    out.append(nmi);
    if (any_wide) {
        madt_x2apic_nmi wide;
        wide.uid = 0xffffffff;
        wide.lint = 1;
        out.append(wide);
    }
    return std::move(out).close();
}

} // namespace ktstr::acpi
