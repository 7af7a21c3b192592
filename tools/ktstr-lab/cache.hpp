// SPDX-License-Identifier: Apache-2.0
/// \file
/// Cache entries: folders that appear whole or not at all, with a manifest of checksums, and the locks around them.
///
/// An entry is `$XDG_CACHE_HOME/ktstr/lab/KIND-KEY/` with a file `manifest`: free lines, then one line
/// "SHA256 SIZE NAME" a file. The checksums are compared when a file's identity (size, times, inode) is not the one of the
/// last good comparison, which `stamps` beside the manifest remembers; so a good entry costs a few stat(2).
#pragma once

#include "ktstr-lab/waiting.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace ktstr::lab {

/// An flock(2) on a file, released by the destructor.
class file_lock {
public:
    /// Waits for the lock; signals end the wait.
    [[nodiscard]] static outcome<file_lock> take(signal_gate const& gate, std::string const& path, bool exclusive);

private:
    unique_fd fd_;
};

/// A folder below the cache that vanishes with all it holds unless it is published.
class cache_draft {
public:
    [[nodiscard]] static outcome<cache_draft> open(std::string const& cache, std::string_view name);
    cache_draft(cache_draft&& other) noexcept
        : cache_(std::move(other.cache_)), name_(std::move(other.name_)), path_(std::exchange(other.path_, {})) {}
    cache_draft& operator=(cache_draft&&) = delete;
    ~cache_draft();

    [[nodiscard]] std::string const& path() const noexcept { return path_; }
    /// Writes the manifest over `files` (relative names) after the free lines `head`, then renames the folder to its name;
    /// an entry of that name is
    /// replaced while nobody reads it ("in-use.lock").
    [[nodiscard]] outcome<> publish(signal_gate const& gate, std::string const& head, std::vector<std::string> const& files);

private:
    cache_draft() = default;
    std::string cache_, name_, path_;
};

/// SHA-256 over the 64 KiB blocks of a file that are not all zero, each behind its offset (snapshots are sparse).
[[nodiscard]] outcome<std::string> digest_of(std::string const& path);

/// Whether the entry at `folder` is there and every file of its manifest is what the manifest says.
[[nodiscard]] bool entry_is_good(std::string const& folder);

/// Removes a folder and everything in it.
void remove_tree(std::string const& path);

/// Removes left-overs of killed builders and all but the `keep` last used entries of `kind`. Needs the build lock.
void prune(std::string const& cache, std::string_view kind, std::size_t keep);

} // namespace ktstr::lab
