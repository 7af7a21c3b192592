// SPDX-License-Identifier: Apache-2.0
/// \file
/// Notes of ELF-64 core files: note header, the process status note of each architecture, and where registers lie in it.
///
/// Source: linux 6.12 include/uapi/linux/elfcore.h and include/linux/elfcore.h (struct elf_prstatus),
/// arch/x86/include/asm/user_64.h (struct user_regs_struct), arch/arm64/include/uapi/asm/ptrace.h (struct user_pt_regs).
#pragma once

#include "ktstr/abi/elf.hpp"
#include "ktstr/base/endian.hpp"
#include "ktstr/base/layout.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace ktstr::elf {

inline constexpr std::uint16_t et_core = 4;
inline constexpr std::uint32_t pf_rwx = 7;
inline constexpr std::uint32_t nt_prstatus = 1;   ///< owner "CORE": one per thread of execution
inline constexpr std::uint32_t nt_fpregset = 2;   ///< owner "CORE": the FXSAVE area of the thread before it
inline constexpr std::uint32_t nt_vmcoreinfo = 0; ///< owner "VMCOREINFO": text lines KEY=VALUE

/// In front of each note; owner (with its NUL) and content follow, each padded to a multiple of 4 bytes.
struct nhdr {
    le32 namesz; ///< bytes, with the NUL
    le32 descsz; ///< bytes
    le32 type;
};
KTSTR_ABI(nhdr, 12);

/// The part of struct elf_prstatus in front of the registers, the same on all 64-bit architectures.
struct prstatus_head {
    std::array<std::uint8_t, 32> signal{}; ///< signal number, pending and held signals
    le32 pid;                              ///< what debuggers call the thread
    le32 ppid;
    le32 pgrp;
    le32 sid;
    std::array<std::uint8_t, 64> times{}; ///< four struct timeval
};
KTSTR_ABI(prstatus_head, 112);
KTSTR_ABI_AT(prstatus_head, pid, 32);

/// One 8-byte register of a status note: its place in the general register set, and our names for it, best first.
struct prstatus_register {
    std::string_view name;
    std::string_view other{};
};

/// user_regs_struct of x86_64, in order; orig_rax belongs to system calls and stays all ones: "none".
inline constexpr std::array<prstatus_register, 27> x86_64_registers{{
    {"r15"}, {"r14"}, {"r13"}, {"r12"}, {"rbp"}, {"rbx"}, {"r11"}, {"r10"}, {"r9"}, {"r8"}, {"rax"}, {"rcx"}, {"rdx"},
    {"rsi"}, {"rdi"}, {"orig_rax"}, {"rip"}, {"cs", "cs.selector"}, {"rflags", "eflags"}, {"rsp"}, {"ss", "ss.selector"},
    {"fs.base", "fs_base"}, {"gs.base", "gs_base"}, {"ds", "ds.selector"}, {"es", "es.selector"}, {"fs", "fs.selector"},
    {"gs", "gs.selector"},
}};

/// user_pt_regs of aarch64, in order.
inline constexpr std::array<prstatus_register, 34> aarch64_registers{{
    {"x0"}, {"x1"}, {"x2"}, {"x3"}, {"x4"}, {"x5"}, {"x6"}, {"x7"}, {"x8"}, {"x9"}, {"x10"}, {"x11"}, {"x12"}, {"x13"},
    {"x14"}, {"x15"}, {"x16"}, {"x17"}, {"x18"}, {"x19"}, {"x20"}, {"x21"}, {"x22"}, {"x23"}, {"x24"}, {"x25"}, {"x26"},
    {"x27"}, {"x28"}, {"x29"}, {"x30"}, {"sp"}, {"pc"}, {"pstate"},
}};

/// How a core file of one architecture is laid out.
struct core_layout {
    std::string_view arch;
    std::uint16_t machine;
    std::span<prstatus_register const> registers;
    std::size_t fpu_size; ///< bytes of the NT_FPREGSET content that begins the FPU image; 0: not written

    /// Bytes of the status note: head, registers, a 4-byte "FPU is valid" and its padding.
    [[nodiscard]] constexpr std::size_t prstatus_size() const noexcept {
        return sizeof(prstatus_head) + registers.size() * 8 + 8;
    }
};

inline constexpr std::array<core_layout, 2> core_layouts{{
    {"x86_64", em_x86_64, x86_64_registers, 512},
    {"aarch64", em_aarch64, aarch64_registers, 0},
}};
static_assert(core_layouts[0].prstatus_size() == 336 && core_layouts[1].prstatus_size() == 392);

/// The layout called `arch`, or null.
[[nodiscard]] constexpr core_layout const* find_core_layout(std::string_view arch) noexcept {
    for (auto const& layout : core_layouts)
        if (layout.arch == arch)
            return &layout;
    return nullptr;
}

/// The layout of `machine` (e_machine), or null.
[[nodiscard]] constexpr core_layout const* find_core_layout(std::uint16_t machine) noexcept {
    for (auto const& layout : core_layouts)
        if (layout.machine == machine)
            return &layout;
    return nullptr;
}

} // namespace ktstr::elf
