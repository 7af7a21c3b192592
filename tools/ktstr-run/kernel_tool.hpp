// SPDX-License-Identifier: Apache-2.0
/// \file
/// The user's kernels as the commands see them: names turned into entries of the store, failures into words.
#pragma once

#include "ktstr-run/run_machine_choices.hpp"
#include "ktstr/boot/decompress.hpp"
#include "ktstr/boot/decompress_lz4.hpp"
#include "ktstr/boot/decompress_lzma.hpp"
#include "ktstr/boot/decompress_zlib.hpp"
#include "ktstr/boot/decompress_zstd.hpp"
#include "ktstr/store/kernel_import.hpp"
#include "ktstr/store/kernel_store.hpp"
#include "support/problem.hpp"
#include "support/progress.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ktstr::tool {

/// Everything we can unpack.
using all_decompressors = decompressor_set<zstd_decompressor, lzma_decompressor, zlib_decompressor, lz4_decompressor>;

/// The store in the user's XDG cache folder.
[[nodiscard]] outcome<kernel_store> user_kernel_store();

/// The kernel that `spec` names: a name in the store, an entry's folder, or the path of a kernel, which is then put into
/// the store first (and found there the next time). Empty: the newest in the store. A damaged entry is made again from
/// where it came, if that is possible without the network.
[[nodiscard]] outcome<stored_kernel> resolve_kernel(std::string_view spec, progress& show);

/// What carries virtio for a guest with this kernel: what is wished for, or the one whose driver it has (built in, or its
/// module stored). A problem with exit code 77 when it has no driver for it.
[[nodiscard]] outcome<virtio_transport> choose_transport(stored_kernel const& kernel, transport_wish wish);

/// The stored modules that a guest must load for virtio over `transport` and its console, in load order.
[[nodiscard]] outcome<std::vector<stored_module>> transport_modules(stored_kernel const& kernel,
                                                                    virtio_transport transport);

/// Puts the bzImage, vmlinux or build tree at `path` into the store; its key.
[[nodiscard]] outcome<std::string> add_kernel(kernel_store const& store, std::string const& path, bool again, progress& show);

/// Fetches the newest Debian kernel of `series` ("7.3"; empty: the newest of all) into the store; its key.
[[nodiscard]] outcome<std::string> fetch_debian_kernel(kernel_store const& store, std::string const& series, progress& show);

/// Imports `request`; failures in words about `named`, the thing the user knows.
[[nodiscard]] outcome<std::string> import_in_words(kernel_store const& store, kernel_import request,
                                                   std::string const& named, progress& show);

/// Finds the image, .config and modules that belong to the kernel at `path`; failures in words.
[[nodiscard]] outcome<kernel_import> locate_kernel(std::string const& path);

/// Prints the symbols of the kernel that `spec` names: all, or those that `wanted` names (or addresses "0x..." lie in).
/// Text lines are those of /proc/kallsyms, at the addresses the kernel was linked for.
[[nodiscard]] outcome<exit_code> show_kernel_symbols(std::string const& spec, std::span<std::string const> wanted, bool as_json,
                                                     progress& show);

} // namespace ktstr::tool
