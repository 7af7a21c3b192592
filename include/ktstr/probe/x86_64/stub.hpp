// SPDX-License-Identifier: Apache-2.0
/// \file
/// The machine code of the tiny guests: each runs in 64-bit kernel mode and reports through port 0x80.
///
///     0x00500..0x0efff  boot GDT and page tables (arch/x86_64/boot_state.hpp)
///     0x10000           code
///     0x11000           16 bytes for CMPXCHG16B
///     0x12000           XSAVE area
#pragma once

#include "ktstr/arch/x86_64/boot_state.hpp"
#include "ktstr/base/units.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace ktstr::probe_stub {

inline constexpr gpa code{0x10000};
inline constexpr gpa data{0x11000};
inline constexpr gpa xsave_area{0x12000};
inline constexpr std::uint64_t memory_size = 0x20000;
inline constexpr std::uint16_t report_port = 0x80;

inline constexpr std::uint64_t cr4_osfxsr = 1U << 9;
inline constexpr std::uint64_t cr4_osxsave = 1U << 18;

/// As often as the number at [RDI] says: decrement, jump. Then reports, and does it again.
inline constexpr std::array<std::uint8_t, 12> loop{
    0x48, 0x8b, 0x0f, // 1: mov rcx, [rdi]
    0x48, 0xff, 0xc9, // 2: dec rcx
    0x75, 0xfb,       //    jnz 2b
    0xe6, 0x80,       //    out 0x80, al
    0xeb, 0xf4,       //    jmp 1b
};

/// Reports for ever.
inline constexpr std::array<std::uint8_t, 4> exits{
    0xe6, 0x80, // 1: out 0x80, al
    0xeb, 0xfc, //    jmp 1b
};

/// Turns on x87 and SSE state in XCR0, saves it to [RDI] and loads it from there.
inline constexpr std::array<std::uint8_t, 21> xsave{
    0x31, 0xc9,                   // xor ecx, ecx
    0x31, 0xd2,                   // xor edx, edx
    0xb8, 0x03, 0x00, 0x00, 0x00, // mov eax, 3
    0x0f, 0x01, 0xd1,             // xsetbv
    0x0f, 0xae, 0x27,             // xsave [rdi]
    0x0f, 0xae, 0x2f,             // xrstor [rdi]
    0xe6, 0x80,                   // out 0x80, al
    0xf4,                         // hlt
};
/// Where XSAVE puts MXCSR, and its value after reset (Intel SDM volume 1, section 13.4.1).
inline constexpr std::size_t mxcsr_offset = 24;
inline constexpr std::uint32_t mxcsr_reset = 0x1f80;

/// Compares [RDI] with RDX:RAX and stores RCX:RBX; reports 1 for "was equal".
inline constexpr std::array<std::uint8_t, 11> cmpxchg16b{
    0xf0, 0x48, 0x0f, 0xc7, 0x0f, // lock cmpxchg16b [rdi]
    0x0f, 0x94, 0xc0,             // setz al
    0xe6, 0x80,                   // out 0x80, al
    0xf4,                         // hlt
};
inline constexpr std::array<std::uint64_t, 2> before{0x1122334455667788, 0x99aabbccddeeff00};
inline constexpr std::array<std::uint64_t, 2> after{0x0102030405060708, 0x090a0b0c0d0e0f10};

/// Stores RAX behind [RDI], then at [RDI], then reports.
inline constexpr std::array<std::uint8_t, 10> store{
    0x48, 0x89, 0x47, 0x08, // mov [rdi+8], rax
    0x48, 0x89, 0x07,       // mov [rdi], rax
    0xe6, 0x80,             // out 0x80, al
    0xf4,                   // hlt
};
/// Where the instruction behind the second store begins.
inline constexpr std::uint64_t store_end = 7;

/// The state every stub starts in; RDI points to `argument`.
[[nodiscard]] constexpr x86_boot_state start(gpa argument) noexcept {
    auto state = x86_long_mode_entry(code, argument);
    state.regs.rdi = argument.raw;
    return state;
}

} // namespace ktstr::probe_stub
