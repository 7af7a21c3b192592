// SPDX-License-Identifier: Apache-2.0
/// \file
/// The x86 Linux boot protocol: the setup header inside a bzImage and the "zero page" handed to the kernel.
///
/// Source: linux 6.12 Documentation/arch/x86/{boot,zero-page}.rst and arch/x86/include/uapi/asm/bootparam.h.
#pragma once

#include "ktstr/base/endian.hpp"
#include "ktstr/base/layout.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace ktstr::x86_boot {

inline constexpr std::uint64_t setup_header_offset = 0x1f1; ///< in a bzImage and in the zero page alike
inline constexpr std::uint32_t header_magic = 0x53726448;   ///< "HdrS"
inline constexpr std::uint16_t boot_flag_value = 0xaa55;
inline constexpr std::uint8_t loader_undefined = 0xff; ///< type_of_loader without an assigned number
inline constexpr std::uint8_t loaded_high = 1U << 0;   ///< loadflags: protected-mode code at 1 MiB or above
inline constexpr std::uint8_t kaslr_flag = 1U << 1;    ///< loadflags: the kernel stands at a random place
inline constexpr std::uint16_t xlf_kernel_64 = 1U << 0; ///< xloadflags: has the 64-bit entry point
inline constexpr std::uint16_t xlf_can_be_above_4g = 1U << 1;

/// The setup header, protocol 2.15; older protocols fill a prefix.
struct setup_header {
    std::uint8_t setup_sects = 0; ///< 512-byte sectors of real-mode code after the boot sector; 0 means 4
    le16 root_flags;
    le32 syssize; ///< protected-mode code in 16-byte units
    le16 ram_size;
    le16 vid_mode;
    le16 root_dev;
    le16 boot_flag;
    std::uint8_t jump_opcode = 0; ///< 0xeb
    std::uint8_t jump_length = 0; ///< the header ends at file offset 0x202 + this
    le32 header;                  ///< `header_magic`
    le16 version;                 ///< 0x020f = 2.15
    le32 realmode_swtch;
    le16 start_sys_seg;
    le16 kernel_version; ///< file offset of the version string minus 0x200; 0 = none
    std::uint8_t type_of_loader = 0;
    std::uint8_t loadflags = 0;
    le16 setup_move_size;
    le32 code32_start;
    le32 ramdisk_image; ///< low 32 bits of a physical address
    le32 ramdisk_size;  ///< low 32 bits, bytes
    le32 bootsect_kludge;
    le16 heap_end_ptr;
    std::uint8_t ext_loader_ver = 0;
    std::uint8_t ext_loader_type = 0;
    le32 cmd_line_ptr; ///< low 32 bits of a physical address
    le32 initrd_addr_max;
    le32 kernel_alignment; ///< bytes
    std::uint8_t relocatable_kernel = 0;
    std::uint8_t min_alignment = 0;
    le16 xloadflags;
    le32 cmdline_size; ///< longest command line without its NUL, bytes
    le32 hardware_subarch;
    le64 hardware_subarch_data;
    le32 payload_offset; ///< from the start of the protected-mode code
    le32 payload_length;
    le64 setup_data;
    le64 pref_address; ///< physical address the kernel was linked for
    le32 init_size;    ///< linear memory needed from the load address until the kernel has read its memory map
    le32 handover_offset;
    le32 kernel_info_offset;
};
KTSTR_ABI(setup_header, 0x26c - 0x1f1);
KTSTR_ABI_AT(setup_header, boot_flag, 0x1fe - 0x1f1);
KTSTR_ABI_AT(setup_header, header, 0x202 - 0x1f1);
KTSTR_ABI_AT(setup_header, kernel_version, 0x20e - 0x1f1);
KTSTR_ABI_AT(setup_header, loadflags, 0x211 - 0x1f1);
KTSTR_ABI_AT(setup_header, ramdisk_image, 0x218 - 0x1f1);
KTSTR_ABI_AT(setup_header, cmd_line_ptr, 0x228 - 0x1f1);
KTSTR_ABI_AT(setup_header, kernel_alignment, 0x230 - 0x1f1);
KTSTR_ABI_AT(setup_header, xloadflags, 0x236 - 0x1f1);
KTSTR_ABI_AT(setup_header, cmdline_size, 0x238 - 0x1f1);
KTSTR_ABI_AT(setup_header, payload_offset, 0x248 - 0x1f1);
KTSTR_ABI_AT(setup_header, setup_data, 0x250 - 0x1f1);
KTSTR_ABI_AT(setup_header, pref_address, 0x258 - 0x1f1);
KTSTR_ABI_AT(setup_header, init_size, 0x260 - 0x1f1);
KTSTR_ABI_AT(setup_header, kernel_info_offset, 0x268 - 0x1f1);

inline constexpr std::uint32_t e820_ram = 1;
inline constexpr std::uint32_t e820_reserved = 2;
inline constexpr std::uint32_t e820_acpi = 3;
inline constexpr std::size_t e820_max = 128; ///< entries that fit in the zero page

/// One line of the memory map.
struct e820_entry {
    le64 address;
    le64 size; ///< bytes
    le32 type;
};
KTSTR_ABI(e820_entry, 20);

/// The zero page. Fields we never write are kept as gaps.
struct boot_params {
    std::array<std::uint8_t, 0x70> screen_and_apm{};
    le64 acpi_rsdp_addr; ///< physical address of the RSDP; 0 = let the kernel search
    std::array<std::uint8_t, 0xc0 - 0x78> gap_078{};
    le32 ext_ramdisk_image; ///< high 32 bits
    le32 ext_ramdisk_size;
    le32 ext_cmd_line_ptr;
    std::array<std::uint8_t, 0x1e8 - 0xcc> gap_0cc{};
    std::uint8_t e820_entries = 0; ///< entries used in `e820_table`
    std::uint8_t eddbuf_entries = 0;
    std::uint8_t edd_mbr_sig_buf_entries = 0;
    std::uint8_t kbd_status = 0;
    std::uint8_t secure_boot = 0;
    std::array<std::uint8_t, 2> gap_1ed{};
    std::uint8_t sentinel = 0; ///< must be 0, or the kernel distrusts most of the page
    std::uint8_t gap_1f0 = 0;
    setup_header hdr;
    std::array<std::uint8_t, 0x2d0 - 0x26c> gap_26c{};
    std::array<e820_entry, e820_max> e820_table{};
    std::array<std::uint8_t, 0x1000 - 0xcd0> gap_cd0{};
};
KTSTR_ABI(boot_params, 4096);
KTSTR_ABI_AT(boot_params, acpi_rsdp_addr, 0x70);
KTSTR_ABI_AT(boot_params, ext_ramdisk_image, 0xc0);
KTSTR_ABI_AT(boot_params, e820_entries, 0x1e8);
KTSTR_ABI_AT(boot_params, secure_boot, 0x1ec);
KTSTR_ABI_AT(boot_params, sentinel, 0x1ef);
KTSTR_ABI_AT(boot_params, hdr, 0x1f1);
KTSTR_ABI_AT(boot_params, e820_table, 0x2d0);

} // namespace ktstr::x86_boot
