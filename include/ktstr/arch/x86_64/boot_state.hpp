// SPDX-License-Identifier: Apache-2.0
/// \file
/// The state a BSP starts in to enter a 64-bit kernel directly, and the tables in memory that go with it.
/// Source: linux Documentation/arch/x86/boot.rst, "64-bit Boot Protocol": paging on, identity-mapped, __BOOT_CS 0x10
/// and __BOOT_DS 0x18, interrupts off, RSI = zero page.
#pragma once

#include "ktstr/arch/x86_64/map.hpp"
#include "ktstr/base/endian.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/mem/guest_memory.hpp"

#include <array>
#include <cstdint>

namespace ktstr {

/// The general registers of an x86_64 processor.
struct x86_regs {
    std::uint64_t rax = 0, rbx = 0, rcx = 0, rdx = 0, rsi = 0, rdi = 0, rsp = 0, rbp = 0;
    std::uint64_t r8 = 0, r9 = 0, r10 = 0, r11 = 0, r12 = 0, r13 = 0, r14 = 0, r15 = 0;
    std::uint64_t rip = 0, rflags = 2;
    friend bool operator==(x86_regs const&, x86_regs const&) = default;
};

/// A segment register with its hidden part, as KVM and the VMCB hold it.
struct x86_segment {
    std::uint64_t base = 0;
    std::uint32_t limit = 0;
    std::uint16_t selector = 0;
    std::uint8_t type = 0;      ///< Bits 3:0 of the access byte.
    bool present = false, db = false, s = false, l = false, g = false;
    std::uint8_t dpl = 0;
};

/// Everything a boot changes from the reset state.
struct x86_boot_state {
    x86_regs regs{};
    x86_segment code{}, data{}, task{};
    std::uint64_t cr0 = 0, cr3 = 0, cr4 = 0, efer = 0;
    std::uint64_t gdt_base = 0;
    std::uint16_t gdt_limit = 0;
};

namespace x86 {
inline constexpr std::uint64_t cr0_pe = 1, cr0_mp = 1U << 1, cr0_et = 1U << 4, cr0_ne = 1U << 5, cr0_wp = 1U << 16,
                               cr0_pg = 1U << 31;
inline constexpr std::uint64_t cr4_pae = 1U << 5;
inline constexpr std::uint64_t efer_lme = 1U << 8, efer_lma = 1U << 10;
/// Boot GDT: null, unused, 64-bit code (selector 0x10), data (0x18), task state (0x20).
inline constexpr std::array<std::uint64_t, 5> boot_gdt{0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff,
                                                       0x00008b000000ffff};
} // namespace x86

/// The registers for a 64-bit entry at `entry` with the zero page at `zero_page` in RSI.
[[nodiscard]] constexpr x86_boot_state x86_long_mode_entry(gpa entry, gpa zero_page) noexcept {
    x86_boot_state s;
    s.regs.rip = entry.raw;
    s.regs.rsi = zero_page.raw;
    s.regs.rsp = s.regs.rbp = x86_map::boot_stack.raw;
    s.code = {0, 0xfffff, 0x10, 0xb, true, false, true, true, true, 0};
    s.data = {0, 0xfffff, 0x18, 0x3, true, true, true, false, true, 0};
    s.task = {0, 0xfffff, 0x20, 0xb, true, false, false, false, false, 0};
    s.cr0 = x86::cr0_pe | x86::cr0_mp | x86::cr0_et | x86::cr0_ne | x86::cr0_wp | x86::cr0_pg;
    s.cr3 = x86_map::page_tables.raw;
    s.cr4 = x86::cr4_pae;
    s.efer = x86::efer_lme | x86::efer_lma;
    s.gdt_base = x86_map::gdt.raw;
    s.gdt_limit = static_cast<std::uint16_t>(x86::boot_gdt.size() * 8 - 1);
    return s;
}

/// Writes the boot GDT and page tables (0-4 GiB identity, 2 MiB pages) to their places in the map.
/// `errc::out_of_range` when the machine has less than 64 KiB of low RAM.
template <GuestMemory M>
[[nodiscard]] result<> write_boot_tables(M const& memory) noexcept {
    constexpr std::uint64_t present_writable = 3;
    constexpr std::uint64_t large = 1U << 7;
    for (std::size_t i = 0; i < x86::boot_gdt.size(); ++i)
        KTSTR_CHECK(store_guest(memory, x86_map::gdt + 8 * i, le64{x86::boot_gdt[i]}));
    auto const pml4 = x86_map::page_tables;
    auto const pdpt = pml4 + 0x1000;
    KTSTR_CHECK(store_guest(memory, pml4, le64{pdpt.raw | present_writable}));
    for (std::uint64_t g = 0; g < 4; ++g) {
        auto const pd = pdpt + 0x1000 * (g + 1);
        KTSTR_CHECK(store_guest(memory, pdpt + 8 * g, le64{pd.raw | present_writable}));
        for (std::uint64_t i = 0; i < 512; ++i) {
            auto const page = (g * 512 + i) * (2 * MiB);
            KTSTR_CHECK(store_guest(memory, pd + 8 * i, le64{page | present_writable | large}));
        }
    }
    return {};
}

} // namespace ktstr
