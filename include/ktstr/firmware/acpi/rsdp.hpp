// SPDX-License-Identifier: Apache-2.0
/// \file
/// RSDP and XSDT: how a kernel finds the other tables.
#pragma once

#include "ktstr/abi/acpi.hpp"
#include "ktstr/base/cursor.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/firmware/acpi/table.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace ktstr::acpi {

/// The root pointer to an XSDT at `xsdt`; there is no RSDT.
[[nodiscard]] inline rsdp make_rsdp(gpa xsdt) noexcept {
    rsdp out;
    out.signature = {'R', 'S', 'D', ' ', 'P', 'T', 'R', ' '};
    out.oem_id = oem_id;
    out.revision = 2;
    out.length = sizeof(rsdp);
    out.xsdt_address = xsdt.raw;
    out.checksum = checksum_of(bytes_of(out).first(20));
    out.extended_checksum = checksum_of(bytes_of(out));
    return out;
}

/// The list of tables. The DSDT is found through the FADT and does not belong here.
[[nodiscard]] inline std::vector<std::byte> make_xsdt(std::span<gpa const> tables) {
    table_bytes out(make_header("XSDT", 1));
    for (auto const each : tables)
        out.append(le64(each.raw));
    return std::move(out).close();
}

} // namespace ktstr::acpi
