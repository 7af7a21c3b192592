// SPDX-License-Identifier: Apache-2.0
/// \file
/// FADT: hardware-reduced ACPI. No PM timer, no SCI, no fixed events; reset and sleep by registers of their own.
#pragma once

#include "ktstr/abi/acpi.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/firmware/acpi/config.hpp"
#include "ktstr/firmware/acpi/table.hpp"

#include <cstddef>
#include <vector>

namespace ktstr::acpi {

/// The FADT of a machine whose DSDT lies at `dsdt`. Tells kernels that there is no VGA and no CMOS clock, and whether
/// there is a keyboard controller, so that none of them is probed for seconds.
[[nodiscard]] inline std::vector<std::byte> make_fadt(acpi_config const& config, gpa dsdt) {
    auto const port = [](std::uint16_t number) { return address{io_space, 8, 0, byte_access, number}; };
    fadt out;
    out.head = make_header("FACP", 6);
    out.minor_revision = 5;
    out.x_dsdt = dsdt.raw;
    out.latencies[0] = 0xfff; // C2 and C3 latencies above 100 and 1000 us: neither state exists
    out.latencies[1] = 0xfff;
    auto boot = static_cast<std::uint16_t>(boot_no_vga | boot_no_aspm | boot_no_cmos_rtc);
    if (!config.uarts.empty() || config.has_8042)
        boot = static_cast<std::uint16_t>(boot | boot_has_legacy);
    if (config.has_8042)
        boot = static_cast<std::uint16_t>(boot | boot_has_8042);
    out.boot_flags = boot;
    out.flags = fadt_wbinvd | fadt_c1_on_all | fadt_no_fixed_power_button | fadt_no_fixed_sleep_button | fadt_no_fixed_rtc |
                fadt_reset_supported | fadt_hardware_reduced;
    out.reset_register = port(acpi_reset_port);
    out.reset_value = acpi_reset_value;
    out.sleep_control = port(acpi_sleep_control_port);
    out.sleep_status = port(acpi_sleep_status_port);
    out.hypervisor_vendor = {'K', 'T', 'S', 'T', 'R', 0, 0, 0};
    return table_bytes(out).close();
}

} // namespace ktstr::acpi
