// SPDX-License-Identifier: Apache-2.0
/// \file
/// All ACPI tables of a machine as one block of bytes, ready to be put into guest memory.
#pragma once

#include "ktstr/base/checked.hpp"
#include "ktstr/base/cursor.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/firmware/acpi/config.hpp"
#include "ktstr/firmware/acpi/dsdt.hpp"
#include "ktstr/firmware/acpi/fadt.hpp"
#include "ktstr/firmware/acpi/hmat.hpp"
#include "ktstr/firmware/acpi/madt.hpp"
#include "ktstr/firmware/acpi/rsdp.hpp"
#include "ktstr/firmware/acpi/slit.hpp"
#include "ktstr/firmware/acpi/srat.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace ktstr {

/// Where one table lies in `acpi_tables::image`.
struct placed_table {
    std::string_view name; ///< The signature without padding: "XSDT", "FACP", ...; "RSDP" for the root pointer.
    std::size_t offset = 0;
    std::size_t size = 0;
};

/// The tables and how to place them: `image` goes to `place`, `rsdp` goes into the boot parameters.
struct acpi_tables {
    std::vector<std::byte> image;
    gpa place{};
    gpa rsdp{};
    std::vector<placed_table> tables; ///< In the order of their offsets.

    /// The bytes of the table called `name`; empty when there is none.
    [[nodiscard]] std::span<std::byte const> find(std::string_view name) const noexcept {
        for (auto const& each : tables)
            if (each.name == name)
                return std::span(image).subspan(each.offset, each.size);
        return {};
    }
};

/// Checks a machine before its tables are made. Errors: those of `validate` for the topology and the layout;
/// `invalid_argument` at "acpi.apic_ids" (value = ids given), "acpi.place" (not aligned to 16), "acpi.ram" (a region of
/// a node that does not exist; value = the node); `out_of_range` at "acpi.virtio.window" (value = index; above 4 GiB or
/// empty), "acpi.pci" (above 4 GiB), "acpi.uart.port" (value = index), "acpi.devices" (too many of a kind; value = how many).
[[nodiscard]] inline result<> validate(acpi_config const& config) noexcept {
    KTSTR_CHECK(validate(config.shape));
    KTSTR_CHECK(validate(config.shape, config.layout));
    if (config.apic_ids.size() != cpus(config.shape))
        return fail(errc::invalid_argument, "acpi.apic_ids", config.apic_ids.size());
    if (config.place.raw % 16 != 0)
        return fail(errc::invalid_argument, "acpi.place", config.place.raw);
    for (auto const& region : config.ram)
        if (region.node >= node_count(config.shape, config.layout))
            return fail(errc::invalid_argument, "acpi.ram", region.node);
    for (auto const count : {config.virtio.size(), config.uarts.size()})
        if (count > acpi::max_devices_of_a_kind)
            return fail(errc::out_of_range, "acpi.devices", count);
    for (std::size_t i = 0; i < config.virtio.size(); ++i) {
        auto const& window = config.virtio[i].window;
        if (window.size.raw == 0 || !fits(window.start.raw, window.size.raw, std::uint64_t{1} << 32))
            return fail(errc::out_of_range, "acpi.virtio.window", i);
    }
    if (!fits(config.pci.start.raw, config.pci.size.raw, std::uint64_t{1} << 32) || config.pci.size.raw >= std::uint64_t{1} << 32)
        return fail(errc::out_of_range, "acpi.pci", config.pci.start.raw);
    for (std::size_t i = 0; i < config.uarts.size(); ++i)
        if (config.uarts[i].port > 0x10000 - 8)
            return fail(errc::out_of_range, "acpi.uart.port", i);
    return {};
}

/// The tables of the machine that `config` describes: RSDP, XSDT, FADT, DSDT, MADT, SRAT, SLIT and, with more than one
/// node, HMAT. Errors: those of `validate`, and `no_space` at "acpi.room" with the size when they do not fit.
[[nodiscard]] inline result<acpi_tables> build_acpi(acpi_config const& config) {
    KTSTR_CHECK(validate(config));
    acpi_tables out;
    out.place = config.place;
    out.rsdp = config.place;

    auto const put = [&out](std::string_view name, std::span<std::byte const> raw) {
        auto const at = (out.image.size() + 15) / 16 * 16;
        out.image.resize(at);
        out.image.insert(out.image.end(), raw.begin(), raw.end());
        out.tables.push_back({name, at, raw.size()});
        return out.place + at;
    };
    std::size_t const count = node_count(config.shape, config.layout) > 1 ? 5 : 4; // what the XSDT lists
    std::vector<gpa> listed(count);
    put("RSDP", bytes_of(acpi::rsdp{}));
    auto const xsdt = put("XSDT", acpi::make_xsdt(listed));
    auto const dsdt = put("DSDT", acpi::make_dsdt(config));
    listed[0] = put("FACP", acpi::make_fadt(config, dsdt));
    listed[1] = put("APIC", acpi::make_madt(config));
    listed[2] = put("SRAT", acpi::make_srat(config));
    listed[3] = put("SLIT", acpi::make_slit(config));
    if (count == 5)
        listed[4] = put("HMAT", acpi::make_hmat(config));

    // The addresses are known now: the first two are written over their placeholders.
    auto const root = acpi::make_rsdp(xsdt);
    std::memcpy(out.image.data() + out.tables[0].offset, &root, sizeof root);
    auto const list = acpi::make_xsdt(listed);
    std::memcpy(out.image.data() + out.tables[1].offset, list.data(), list.size());
    if (out.image.size() > config.room.raw)
        return fail(errc::no_space, "acpi.room", out.image.size());
    return out;
}

} // namespace ktstr
