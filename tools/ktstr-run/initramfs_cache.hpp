// SPDX-License-Identifier: Apache-2.0
/// \file
/// The initramfs of a run: this program as pid 1, the kernel's modules and what the user adds, from the cache where
/// possible. docs/initramfs.md has the layout.
#pragma once

#include "ktstr-run/boot_options.hpp"
#include "ktstr/boot/initramfs_image.hpp"
#include "support/problem.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace ktstr::tool {

/// What goes into the guest's root.
struct initramfs_request {
    std::vector<std::string> modules; ///< Files on this machine in load order; they become /ktstr/modules/NN-name.
    std::vector<include_file> include; ///< With their libraries when they are programs.
    std::span<std::byte const> plan; ///< Encoded; goes into the suffix.
    std::string program = "/proc/self/exe"; ///< Becomes /init, without symbols and debug information.
};

/// An image and where it came from.
struct made_initramfs {
    initramfs_image image;
    std::string base_file; ///< The cache entry, which `read_initramfs` accepts in another process; empty: not saved.
    std::string note; ///< One line when something was unusual (entry rebuilt, cache not writable); else empty.
};

/// The image for `request`, cached under `$XDG_CACHE_HOME/ktstr/initramfs`. Problems: 2 for a file that the user named
/// and that cannot be used (a library that it needs and that is not there is named), 99 for all else. A cache that is
/// damaged or cannot be written is a note.
[[nodiscard]] outcome<made_initramfs> make_initramfs(initramfs_request const& request);

/// The image whose base is the file at `path` - a cpio archive, compressed or not, or a cache entry - with `plan` behind.
[[nodiscard]] outcome<initramfs_image> read_initramfs(std::string const& path, std::span<std::byte const> plan);

} // namespace ktstr::tool
