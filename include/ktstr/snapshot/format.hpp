// SPDX-License-Identifier: Apache-2.0
/// \file
/// The structures of a snapshot file (.ktsnap), version 1. docs/formats/ktsnap.md has them byte by byte.
///
///     +----------------------------+ 0
///     | head                       |   64 bytes; written last
///     +----------------------------+ 64
///     | blobs: header, one vcpu    |
///     | each, vmcoreinfo           |
///     +----------------------------+ next multiple of 4096
///     | chunks, in order of writing|   the pages of one 256 KiB that hold something, packed
///     +----------------------------+
///     | chunk rows of each paged   |   32 bytes a chunk, ascending
///     | section                    |
///     +----------------------------+
///     | section rows               |   64 bytes a section
///     +----------------------------+ head.size
#pragma once

#include "ktstr/base/endian.hpp"
#include "ktstr/base/layout.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ktstr::ktsnap {

/// The last two bytes show a transfer that changed line ends.
inline constexpr std::array<std::uint8_t, 8> magic{'K', 'T', 'S', 'N', 'A', 'P', '\r', '\n'};
inline constexpr std::uint16_t major_version = 1; ///< A reader refuses a newer one.
inline constexpr std::uint16_t minor_version = 0; ///< Additions that an older reader may skip.

inline constexpr std::uint64_t page_size = 4096;
inline constexpr std::uint64_t chunk_pages = 64;
inline constexpr std::uint64_t chunk_size = chunk_pages * page_size;

inline constexpr std::size_t max_sections = 8192;     ///< One a vCPU, and few others.
inline constexpr std::size_t max_paged_sections = 16; ///< Each costs the writer a buffer of one chunk.

inline constexpr std::uint16_t kind_blob = 0;  ///< offset and length are the content's.
inline constexpr std::uint16_t kind_pages = 1; ///< offset and length are those of its chunk rows.

/// Names of blobs; the last two may be missing, `vcpu` may be there many times.
inline constexpr std::string_view name_header = "header";
inline constexpr std::string_view name_vcpu = "vcpu";
inline constexpr std::string_view name_vmcoreinfo = "vmcoreinfo";
inline constexpr std::string_view name_ram = "ram"; ///< Offsets are guest physical addresses.

/// The first bytes of the file.
struct head {
    std::array<std::uint8_t, 8> magic{};
    le16 major;
    le16 minor;
    le32 machine;       ///< e_machine of the guest: 62 x86_64, 183 aarch64, 0 unknown
    le64 size;          ///< bytes of the whole file
    le64 table_offset;  ///< of the section rows
    le32 section_count;
    le32 table_crc;     ///< of all section rows
    std::array<std::uint8_t, 20> reserved{}; ///< zero
    le32 crc;           ///< of the 60 bytes before
};
KTSTR_ABI(head, 64);
KTSTR_ABI_AT(head, size, 16);
KTSTR_ABI_AT(head, section_count, 32);
KTSTR_ABI_AT(head, crc, 60);

/// One section.
struct section_row {
    std::array<char, 32> name{}; ///< padded with NULs, at least one
    le32 version;                ///< of the content
    le16 kind;
    le16 codec;  ///< how its chunks may be packed; 0: never
    le64 offset; ///< in the file, bytes
    le64 length; ///< bytes
    le32 crc;    ///< of these bytes
    le32 reserved;
};
KTSTR_ABI(section_row, 64);
KTSTR_ABI_AT(section_row, offset, 40);
KTSTR_ABI_AT(section_row, crc, 56);

/// The pages of one 256 KiB piece of a section that hold something; pages that no chunk has are zero.
struct chunk_row {
    le64 base;   ///< offset in the section, a multiple of 256 KiB
    le64 pages;  ///< bit i: page i of the piece is there
    le64 offset; ///< in the file, bytes
    le32 stored; ///< bytes in the file: 4096 a page as they are, fewer packed by the section's codec
    le32 crc;    ///< of the stored bytes
};
KTSTR_ABI(chunk_row, 32);
KTSTR_ABI_AT(chunk_row, stored, 24);

} // namespace ktstr::ktsnap
