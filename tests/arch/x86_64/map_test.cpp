// SPDX-License-Identifier: Apache-2.0
#include "ktstr/arch/x86_64/map.hpp"

#include <doctest/doctest.h>

using namespace ktstr;

TEST_CASE("x86 map: what lies in the hole lies in the hole, and apart") {
    auto const& hole = x86_map::mmio_hole;
    CHECK(hole.end() == gpa{4 * GiB});
    for (gpa const at : {x86_map::ioapic, x86_map::local_apic, x86_map::kvm_tss, x86_map::kvm_identity_map})
        CHECK(hole.contains(at));
    auto const last = x86_map::virtio(static_cast<std::uint32_t>(x86_map::virtio_gsi.size()) - 1);
    CHECK(x86_map::virtio(0).start == hole.start);
    CHECK(last.end() < x86_map::ioapic);
    CHECK(x86_map::virtio(1).start == x86_map::virtio(0).end());
    CHECK(x86_map::kvm_identity_map + 0x1000 <= x86_map::kvm_tss);
    CHECK(x86_map::kvm_tss + 0x3000 <= gpa{4 * GiB});
}

TEST_CASE("x86 map: the tables of the boot lie below the end of low RAM, in order and apart") {
    CHECK(x86_map::gdt < x86_map::zero_page);
    CHECK(x86_map::zero_page + 0x1000 <= x86_map::boot_stack);
    CHECK(x86_map::boot_stack < x86_map::page_tables);
    CHECK(x86_map::page_tables + 6 * 0x1000 <= x86_map::command_line);
    CHECK(x86_map::command_line < x86_map::low_ram_end);
    CHECK(x86_map::low_ram_end < x86_map::acpi);
    CHECK(x86_map::acpi < x86_map::high_ram_start);
}

TEST_CASE("x86 map: no virtio device shares an interrupt with another, a UART or the old PC's own lines") {
    for (std::size_t i = 0; i < x86_map::virtio_gsi.size(); ++i) {
        auto const line = x86_map::virtio_gsi[i];
        CHECK(line != x86_map::com1_gsi);
        CHECK(line != x86_map::com2_gsi);
        for (std::uint32_t const legacy : {0U, 1U, 2U, 8U, 9U}) // timer, keyboard, cascade, clock, ACPI
            CHECK(line != gsi{legacy});
        for (std::size_t k = i + 1; k < x86_map::virtio_gsi.size(); ++k)
            CHECK(line != x86_map::virtio_gsi[k]);
    }
}
