// SPDX-License-Identifier: Apache-2.0
/// \file
/// Structures of ACPI tables. Source: ACPI Specification 6.5, chapters 5 (tables) and 6 (resource descriptors),
/// https://uefi.org/specs/ACPI/6.5/. Sizes and offsets in bytes; every number little-endian.
#pragma once

#include "ktstr/base/endian.hpp"
#include "ktstr/base/layout.hpp"

#include <array>
#include <cstdint>

namespace ktstr::acpi {

/// Section 5.2.6: begins every table but the RSDP.
struct header {
    std::array<char, 4> signature{};
    le32 length{};          ///< Of the whole table.
    std::uint8_t revision{};
    std::uint8_t checksum{}; ///< Makes all bytes of the table sum to 0.
    std::array<char, 6> oem_id{};
    std::array<char, 8> oem_table_id{};
    le32 oem_revision{};
    std::array<char, 4> creator_id{};
    le32 creator_revision{};
};
KTSTR_ABI(header, 36);
KTSTR_ABI_AT(header, oem_id, 10);
KTSTR_ABI_AT(header, creator_id, 28);

/// Section 5.2.5.3.
struct rsdp {
    std::array<char, 8> signature{};
    std::uint8_t checksum{}; ///< Over the first 20 bytes.
    std::array<char, 6> oem_id{};
    std::uint8_t revision{}; ///< 2
    le32 rsdt_address{};
    le32 length{};
    le64 xsdt_address{};
    std::uint8_t extended_checksum{}; ///< Over all 36 bytes.
    std::array<std::uint8_t, 3> reserved{};
};
KTSTR_ABI(rsdp, 36);
KTSTR_ABI_AT(rsdp, rsdt_address, 16);
KTSTR_ABI_AT(rsdp, xsdt_address, 24);

/// Section 5.2.3.2: generic address structure.
struct address {
    std::uint8_t space{};       ///< 0 memory, 1 I/O port.
    std::uint8_t bit_width{};
    std::uint8_t bit_offset{};
    std::uint8_t access_size{}; ///< 1 byte, 2 word, ...
    le64 value{};
};
KTSTR_ABI(address, 12);
inline constexpr std::uint8_t io_space = 1;
inline constexpr std::uint8_t byte_access = 1;

/// Section 5.2.9, FADT revision 6. Registers of the legacy (not reduced) hardware stay zero here.
struct fadt {
    header head{};
    le32 firmware_ctrl{};
    le32 dsdt{};
    std::uint8_t reserved0{};
    std::uint8_t preferred_profile{};
    le16 sci_interrupt{};
    le32 smi_command{};
    std::array<std::uint8_t, 4> smi_values{};
    std::array<le32, 8> legacy_blocks{}; ///< PM1a/b event and control, PM2 control, PM timer, GPE 0 and 1.
    std::array<std::uint8_t, 8> legacy_lengths{};
    std::array<le16, 4> latencies{}; ///< C2, C3 latency; flush size and stride.
    std::array<std::uint8_t, 5> rtc{}; ///< Duty offset and width, day alarm, month alarm, century.
    le16 boot_flags{};
    std::uint8_t reserved1{};
    le32 flags{};
    address reset_register{};
    std::uint8_t reset_value{};
    le16 arm_boot_flags{};
    std::uint8_t minor_revision{};
    le64 x_firmware_ctrl{};
    le64 x_dsdt{};
    std::array<address, 8> x_legacy_blocks{};
    address sleep_control{};
    address sleep_status{};
    std::array<char, 8> hypervisor_vendor{};
};
KTSTR_ABI(fadt, 276);
KTSTR_ABI_AT(fadt, boot_flags, 109);
KTSTR_ABI_AT(fadt, flags, 112);
KTSTR_ABI_AT(fadt, reset_register, 116);
KTSTR_ABI_AT(fadt, x_dsdt, 140);
KTSTR_ABI_AT(fadt, sleep_control, 244);
KTSTR_ABI_AT(fadt, hypervisor_vendor, 268);

/// FADT fixed feature flags, table 5.10.
inline constexpr std::uint32_t fadt_wbinvd = 1U << 0;
inline constexpr std::uint32_t fadt_c1_on_all = 1U << 2;
inline constexpr std::uint32_t fadt_no_fixed_power_button = 1U << 4;
inline constexpr std::uint32_t fadt_no_fixed_sleep_button = 1U << 5;
inline constexpr std::uint32_t fadt_no_fixed_rtc = 1U << 6;
inline constexpr std::uint32_t fadt_reset_supported = 1U << 10;
inline constexpr std::uint32_t fadt_hardware_reduced = 1U << 20;
/// IA-PC boot architecture flags, table 5.11.
inline constexpr std::uint16_t boot_has_legacy = 1U << 0;
inline constexpr std::uint16_t boot_has_8042 = 1U << 1;
inline constexpr std::uint16_t boot_no_vga = 1U << 2;
inline constexpr std::uint16_t boot_no_aspm = 1U << 4;
inline constexpr std::uint16_t boot_no_cmos_rtc = 1U << 5;

/// Section 5.2.12, MADT revision 5, and its entries.
struct madt {
    header head{};
    le32 local_apic{};
    le32 flags{};
};
KTSTR_ABI(madt, 44);
struct madt_local_apic { // 5.2.12.2
    std::uint8_t type{0};
    std::uint8_t length{8};
    std::uint8_t uid{};
    std::uint8_t apic_id{};
    le32 flags{};
};
KTSTR_ABI(madt_local_apic, 8);
struct madt_ioapic { // 5.2.12.3
    std::uint8_t type{1};
    std::uint8_t length{12};
    std::uint8_t id{};
    std::uint8_t reserved{};
    le32 address{};
    le32 gsi_base{};
};
KTSTR_ABI(madt_ioapic, 12);
struct madt_local_nmi { // 5.2.12.7
    std::uint8_t type{4};
    std::uint8_t length{6};
    std::uint8_t uid{}; ///< 0xff = all
    le16 flags{};
    std::uint8_t lint{};
};
KTSTR_ABI(madt_local_nmi, 6);
struct madt_x2apic { // 5.2.12.12
    std::uint8_t type{9};
    std::uint8_t length{16};
    le16 reserved{};
    le32 apic_id{};
    le32 flags{};
    le32 uid{};
};
KTSTR_ABI(madt_x2apic, 16);
struct madt_x2apic_nmi { // 5.2.12.13
    std::uint8_t type{10};
    std::uint8_t length{12};
    le16 flags{};
    le32 uid{}; ///< 0xffffffff = all
    std::uint8_t lint{};
    std::array<std::uint8_t, 3> reserved{};
};
KTSTR_ABI(madt_x2apic_nmi, 12);
inline constexpr std::uint32_t madt_enabled = 1U << 0;

/// Section 5.2.16, SRAT revision 3, and its entries.
struct srat {
    header head{};
    le32 table_revision{1};
    le64 reserved{};
};
KTSTR_ABI(srat, 48);
struct srat_local_apic { // 5.2.16.1
    std::uint8_t type{0};
    std::uint8_t length{16};
    std::uint8_t domain_low{};
    std::uint8_t apic_id{};
    le32 flags{};
    std::uint8_t sapic_eid{};
    std::array<std::uint8_t, 3> domain_high{};
    le32 clock_domain{};
};
KTSTR_ABI(srat_local_apic, 16);
struct srat_memory { // 5.2.16.2
    std::uint8_t type{1};
    std::uint8_t length{40};
    le32 domain{};
    le16 reserved0{};
    le64 base{};
    le64 size{};
    le32 reserved1{};
    le32 flags{};
    le64 reserved2{};
};
KTSTR_ABI(srat_memory, 40);
KTSTR_ABI_AT(srat_memory, flags, 28);
struct srat_x2apic { // 5.2.16.3
    std::uint8_t type{2};
    std::uint8_t length{24};
    le16 reserved0{};
    le32 domain{};
    le32 apic_id{};
    le32 flags{};
    le32 clock_domain{};
    le32 reserved1{};
};
KTSTR_ABI(srat_x2apic, 24);
inline constexpr std::uint32_t srat_enabled = 1U << 0;

/// Section 5.2.17; `count` * `count` bytes follow.
struct slit {
    header head{};
    le64 count{};
};
KTSTR_ABI(slit, 44);

/// Section 5.2.29, HMAT revision 2, and its structures.
struct hmat {
    header head{};
    le32 reserved{};
};
KTSTR_ABI(hmat, 40);
struct hmat_domain { // 5.2.29.3
    le16 type{0};
    le16 reserved0{};
    le32 length{40};
    le16 flags{}; ///< Bit 0: `initiator` is valid.
    le16 reserved1{};
    le32 initiator{};
    le32 memory{};
    le32 reserved2{};
    le64 reserved3{};
    le64 reserved4{};
};
KTSTR_ABI(hmat_domain, 40);
struct hmat_locality { // 5.2.29.4; initiators, targets (le32 each) and le16 entries follow
    le16 type{1};
    le16 reserved0{};
    le32 length{};
    std::uint8_t flags{};
    std::uint8_t data_type{}; ///< 0 access latency, 3 access bandwidth.
    std::uint8_t min_transfer{};
    std::uint8_t reserved1{};
    le32 initiators{};
    le32 targets{};
    le32 reserved2{};
    le64 base_unit{}; ///< Picoseconds or MB/s that an entry of 1 stands for.
};
KTSTR_ABI(hmat_locality, 32);
inline constexpr std::uint8_t hmat_latency = 0;
inline constexpr std::uint8_t hmat_bandwidth = 3;

} // namespace ktstr::acpi
