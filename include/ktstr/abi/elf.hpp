// SPDX-License-Identifier: Apache-2.0
/// \file
/// ELF-64 file structures: what a Linux kernel image, its modules and our own binary are made of.
///
/// Source: System V ABI, "ELF-64 Object File Format" 1.5, and its AMD64 supplement 1.0. Little-endian files only.
#pragma once

#include "ktstr/base/endian.hpp"
#include "ktstr/base/layout.hpp"

#include <array>
#include <cstdint>

namespace ktstr::elf {

inline constexpr std::array<std::uint8_t, 4> magic{0x7f, 'E', 'L', 'F'};
inline constexpr std::uint8_t class_64 = 2;    ///< e_ident[4]
inline constexpr std::uint8_t data_little = 1; ///< e_ident[5]
inline constexpr std::uint16_t et_rel = 1;
inline constexpr std::uint16_t et_exec = 2;
inline constexpr std::uint16_t et_dyn = 3;
inline constexpr std::uint16_t em_x86_64 = 62;
inline constexpr std::uint16_t em_aarch64 = 183;
inline constexpr std::uint32_t pt_load = 1;
inline constexpr std::uint32_t pt_note = 4;
inline constexpr std::uint32_t sht_symtab = 2;
inline constexpr std::uint32_t sht_nobits = 8;
inline constexpr std::uint64_t shf_write = 1, shf_alloc = 2, shf_execinstr = 4;
inline constexpr std::uint16_t shn_undef = 0, shn_loreserve = 0xff00, shn_abs = 0xfff1;
inline constexpr std::uint8_t stt_notype = 0, stt_object = 1, stt_func = 2, stt_gnu_ifunc = 10;
inline constexpr std::uint8_t stb_local = 0, stb_weak = 2;

/// The file header.
struct ehdr {
    std::array<std::uint8_t, 16> ident{}; ///< magic, class, byte order, version, OS ABI
    le16 type;
    le16 machine;
    le32 version;
    le64 entry;
    le64 phoff; ///< file offset of the program headers, bytes
    le64 shoff; ///< file offset of the section headers, bytes
    le32 flags;
    le16 ehsize;
    le16 phentsize;
    le16 phnum;
    le16 shentsize;
    le16 shnum;
    le16 shstrndx;
};
KTSTR_ABI(ehdr, 64);
KTSTR_ABI_AT(ehdr, entry, 24);
KTSTR_ABI_AT(ehdr, phnum, 56);

/// One program header.
struct phdr {
    le32 type;
    le32 flags;
    le64 offset; ///< file offset, bytes
    le64 vaddr;
    le64 paddr;
    le64 filesz; ///< bytes
    le64 memsz;  ///< bytes; the part beyond filesz reads zero
    le64 align;
};
KTSTR_ABI(phdr, 56);
KTSTR_ABI_AT(phdr, paddr, 24);

/// One section header.
struct shdr {
    le32 name; ///< offset into the section name table
    le32 type;
    le64 flags;
    le64 addr;
    le64 offset; ///< file offset, bytes
    le64 size;   ///< bytes
    le32 link;
    le32 info;
    le64 addralign;
    le64 entsize;
};
KTSTR_ABI(shdr, 64);
KTSTR_ABI_AT(shdr, offset, 24);

/// One entry of a symbol table.
struct sym {
    le32 name;              ///< offset into the string table
    std::uint8_t info = 0;  ///< binding << 4 | type
    std::uint8_t other = 0;
    le16 shndx;
    le64 value; ///< address, in executables
    le64 size;  ///< bytes
};
KTSTR_ABI(sym, 24);
KTSTR_ABI_AT(sym, shndx, 6);
KTSTR_ABI_AT(sym, value, 8);

} // namespace ktstr::elf
