// SPDX-License-Identifier: Apache-2.0
/// \file
/// Machines for tests of their firmware: an `acpi_config` with everything it borrows.
#pragma once

#include "ktstr/arch/x86_64/apic_id.hpp"
#include "ktstr/firmware/acpi/build.hpp"
#include "ktstr/topo/presets.hpp"

#include <string>
#include <vector>

namespace ktstr::test {

struct machine {
    topology shape{};
    numa_layout layout{};
    std::vector<std::uint32_t> ids{};
    std::vector<ram_region> ram{};
    std::vector<acpi_virtio_window> virtio{};
    std::vector<acpi_uart> uarts{{0x3f8, gsi{4}}, {0x2f8, gsi{3}}};
    bool has_8042 = false;
    gpa_range pci{};

    explicit machine(topology const& t, numa_layout l = {}, apic_id_options ids_option = {}) : shape(t), layout(std::move(l)) {
        for (std::uint32_t cpu = 0; cpu < cpus(t); ++cpu)
            ids.push_back(apic_id(t, cpu, ids_option));
        auto const sizes = node_memory(t, layout, bytes{5 * GiB}).value();
        ram = lay_out_ram(sizes, {gpa{3 * GiB}, bytes{GiB}}).value();
        add_virtio(2);
    }
    void add_virtio(std::uint32_t count) {
        virtio.clear();
        for (std::uint32_t i = 0; i < count; ++i)
            virtio.push_back({{gpa{0xc0000000 + i * 0x1000ULL}, bytes{0x1000}}, gsi{5 + i}});
    }
    [[nodiscard]] acpi_config config() const {
        acpi_config out;
        out.shape = shape;
        out.layout = layout;
        out.apic_ids = ids;
        out.ram = ram;
        out.virtio = virtio;
        out.uarts = uarts;
        out.has_8042 = has_8042;
        out.pci = pci;
        return out;
    }
    [[nodiscard]] acpi_tables tables() const { return build_acpi(config()).value(); }
};

/// A little-endian number of `size` bytes at `at`.
inline std::uint64_t number(std::span<std::byte const> raw, std::size_t at, std::size_t size) {
    std::uint64_t out = 0;
    for (std::size_t i = size; i-- > 0;)
        out = out << 8 | std::to_integer<std::uint64_t>(raw[at + i]);
    return out;
}
inline std::string text(std::span<std::byte const> raw, std::size_t at, std::size_t size) {
    return {reinterpret_cast<char const*>(raw.data()) + at, size};
}
inline unsigned sum(std::span<std::byte const> raw) {
    unsigned out = 0;
    for (auto const each : raw)
        out += std::to_integer<unsigned>(each);
    return out & 0xff;
}

} // namespace ktstr::test
