// SPDX-License-Identifier: Apache-2.0
/// \file
/// DSDT: the namespace with virtio-mmio windows, the PCI bus, UARTs, the keyboard controller and the soft-off state.
#pragma once

#include "ktstr/base/checked.hpp"
#include "ktstr/firmware/acpi/aml.hpp"
#include "ktstr/firmware/acpi/config.hpp"
#include "ktstr/firmware/acpi/table.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace ktstr::acpi {

namespace detail {
/// A device name of two letters and two hexadecimal digits.
struct numbered_name {
    std::array<char, 4> chars;
    constexpr numbered_name(char a, char b, std::size_t number) noexcept
        : chars{a, b, "0123456789ABCDEF"[number >> 4 & 0xf], "0123456789ABCDEF"[number & 0xf]} {}
    [[nodiscard]] constexpr std::string_view view() const noexcept { return {chars.data(), chars.size()}; }
};
} // namespace detail

/// The most devices of one kind that names have room for.
inline constexpr std::size_t max_devices_of_a_kind = 256;

/// The DSDT. Windows must lie below 4 GiB; `virtio_mmio` is bound by the id "LNRO0005" (linux
/// drivers/virtio/virtio_mmio.c), the UARTs by "PNP0501", the keyboard controller by "PNP0303", the
/// PCI bus by "PNP0A03". Functions on it interrupt by MSI-X only, so there is no routing table.
[[nodiscard]] inline std::vector<std::byte> make_dsdt(acpi_config const& config) {
    aml::term devices;
    auto const add = [&devices](aml::term const& more) { devices.insert(devices.end(), more.begin(), more.end()); };
    for (std::size_t i = 0; i < config.virtio.size(); ++i) {
        auto const& each = config.virtio[i];
        add(aml::device(detail::numbered_name('V', 'R', i).view(),
                        aml::join({aml::named("_HID", aml::string("LNRO0005")), aml::named("_UID", aml::integer(i)),
                                   aml::named("_CRS", aml::resources({aml::memory32(static_cast<std::uint32_t>(each.window.start.raw),
                                                                                    static_cast<std::uint32_t>(each.window.size.raw)),
                                                                      aml::edge_interrupt(each.line.raw)}))})));
    }
    if (config.pci.size.raw != 0)
        add(aml::device("PCI0", aml::join({aml::named("_HID", aml::eisa_id("PNP0A03")), aml::named("_UID", aml::integer(0)),
                                           aml::named("_BBN", aml::integer(0)),
                                           aml::named("_CRS", aml::resources({aml::bus_numbers(0, 0), aml::io_ports(0xcf8, 8),
                                                                              aml::bridge_memory(static_cast<std::uint32_t>(config.pci.start.raw),
                                                                                                 static_cast<std::uint32_t>(config.pci.size.raw))}))})));
    for (std::size_t i = 0; i < config.uarts.size(); ++i) {
        auto const& each = config.uarts[i];
        add(aml::device(detail::numbered_name('C', 'M', i).view(),
                        aml::join({aml::named("_HID", aml::eisa_id("PNP0501")), aml::named("_UID", aml::integer(i)),
                                   aml::named("_CRS", aml::resources({aml::io_ports(each.port, 8),
                                                                      aml::edge_interrupt(each.line.raw)}))})));
    }
    if (config.has_8042)
        add(aml::device("KBD", aml::join({aml::named("_HID", aml::eisa_id("PNP0303")),
                                          aml::named("_CRS", aml::resources({aml::io_ports(0x60, 1), aml::io_ports(0x64, 1),
                                                                             aml::edge_interrupt(1)}))})));
    table_bytes out(make_header("DSDT", 2));
    out.append_bytes(aml::scope("_SB", devices));
    out.append_bytes(aml::named("_S5", aml::package({aml::integer(acpi_s5_sleep_type), aml::integer(0), aml::integer(0), aml::integer(0)})));
    return std::move(out).close();
}

} // namespace ktstr::acpi
