// SPDX-License-Identifier: Apache-2.0
/// \file
/// The "newc" cpio format as Linux unpacks it: Documentation/driver-api/early-userspace/buffer-format.rst (linux 6.12).
///
///     +0    magic "070701"
///     +6    13 numbers of 8 hexadecimal ASCII digits each, no terminator
///     +110  name with its NUL; zero padding to a multiple of 4 (counted from the header)
///     ...   content of `filesize` bytes (a link's target); zero padding to a multiple of 4
/// An archive ends with an entry named "TRAILER!!!". Archives may follow each other, with zeros between them, each
/// compressed or not.
#pragma once

#include "ktstr/base/layout.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ktstr::cpio_abi {

inline constexpr std::string_view magic = "070701";
inline constexpr std::string_view trailer_name = "TRAILER!!!";
inline constexpr std::size_t alignment = 4;
inline constexpr std::size_t name_max = 4096; ///< PATH_MAX: the kernel skips an entry with a longer name, NUL included.

/// One number: 8 hexadecimal digits, most significant first.
struct hex8 {
    char digit[8];
};

/// What stands in front of every name.
struct newc_header {
    char magic[6];
    hex8 ino;
    hex8 mode; ///< Type and permission bits as in stat(2).
    hex8 uid;
    hex8 gid;
    hex8 nlink; ///< The kernel looks for hard links only where this is 2 or more.
    hex8 mtime; ///< Seconds since 1970.
    hex8 filesize; ///< Bytes of content; 0 for everything but files and symbolic links.
    hex8 dev_major;
    hex8 dev_minor;
    hex8 rdev_major; ///< Of a device node.
    hex8 rdev_minor;
    hex8 namesize; ///< Bytes of the name with its NUL.
    hex8 check; ///< 0 in "070701".
};
KTSTR_ABI(newc_header, 110);
KTSTR_ABI_AT(newc_header, mode, 14);
KTSTR_ABI_AT(newc_header, filesize, 54);
KTSTR_ABI_AT(newc_header, namesize, 94);

inline constexpr std::uint32_t type_mask = 0170000;
inline constexpr std::uint32_t type_file = 0100000;
inline constexpr std::uint32_t type_directory = 0040000;
inline constexpr std::uint32_t type_symlink = 0120000;
inline constexpr std::uint32_t type_char_device = 0020000;
inline constexpr std::uint32_t permission_mask = 07777;

} // namespace ktstr::cpio_abi
