// SPDX-License-Identifier: Apache-2.0
/// \file
/// What the guest's first file system holds: a set of paths, turned into one cpio archive.
#pragma once

#include "ktstr/abi/cpio.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/boot/cpio.hpp"
#include "ktstr/boot/initramfs_hash.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ktstr {

/// Paths that host and agent agree on, relative to the guest's root.
inline constexpr std::string_view initramfs_init_path = "init";
inline constexpr std::string_view initramfs_plan_path = "ktstr/plan";
inline constexpr std::string_view initramfs_module_folder = "ktstr/modules";

/// The set of files of an initramfs. Paths are kept sorted and unique, parent folders appear by themselves (mode 0755),
/// so the same set gives the same bytes in whatever order it was added.
class initramfs_builder {
public:
    /// Adds a regular file whose content is borrowed until `archive()` and `key()` are done. `path` may start with
    /// slashes; it must not be empty or have a "." or ".." component (`errc::invalid_argument`). The same path added again
    /// is accepted if it says the same, else `errc::already_exists`. Nothing is added on failure.
    [[nodiscard]] result<> add_file(std::string_view path, std::uint32_t permissions, std::span<std::byte const> content) {
        return add(path, {cpio_abi::type_file | (permissions & cpio_abi::permission_mask), 0, 0}, content);
    }
    /// Adds a regular file whose content this builder takes over.
    [[nodiscard]] result<> add_file(std::string_view path, std::uint32_t permissions, std::vector<std::byte>&& content) {
        owned_.push_back(std::move(content)); // A vector's bytes stay where they are when the vector moves.
        return add_file(path, permissions, std::span<std::byte const>(owned_.back()));
    }
    /// Adds a folder.
    [[nodiscard]] result<> add_directory(std::string_view path, std::uint32_t permissions = 0755) {
        return add(path, {cpio_abi::type_directory | (permissions & cpio_abi::permission_mask), 0, 0}, {});
    }
    /// Adds a symbolic link that says `target`.
    [[nodiscard]] result<> add_symlink(std::string_view path, std::string_view target) {
        if (target.empty() || target.size() >= cpio_abi::name_max || target.find('\0') != std::string_view::npos)
            return fail(errc::invalid_argument, "initramfs.symlink", target.size());
        auto const raw = std::as_bytes(std::span(target.data(), target.size()));
        owned_.emplace_back(raw.begin(), raw.end());
        return add(path, {cpio_abi::type_symlink | 0777, 0, 0}, owned_.back());
    }
    /// Adds a character device node.
    [[nodiscard]] result<> add_char_device(std::string_view path, std::uint32_t permissions, std::uint32_t major,
                                           std::uint32_t minor) {
        return add(path, {cpio_abi::type_char_device | (permissions & cpio_abi::permission_mask), major, minor}, {});
    }

    /// One path of the set.
    struct node {
        std::string path; ///< No leading, trailing or double slash.
        cpio_attributes what;
        std::span<std::byte const> content;
    };
    /// All paths, sorted; a folder stands before what it holds.
    [[nodiscard]] std::span<node const> nodes() const noexcept { return nodes_; }

    /// The archive, trailer included; its size is a multiple of 4.
    [[nodiscard]] result<std::vector<std::byte>> archive() const {
        std::vector<std::byte> out;
        std::size_t total = 1024;
        for (auto const& n : nodes_)
            total += sizeof(cpio_abi::newc_header) + n.path.size() + n.content.size() + 2 * cpio_abi::alignment;
        out.reserve(total);
        cpio_writer writer(out);
        for (auto const& n : nodes_)
            KTSTR_CHECK(writer.add(n.path, n.what, n.content));
        writer.finish();
        return out;
    }

    /// What the archive's content hashes to, without making the archive: the cache's key.
    [[nodiscard]] content_hash key() const noexcept {
        content_hasher hash;
        for (auto const& n : nodes_) {
            hash.update(std::string_view(n.path)).update(std::uint64_t{n.what.mode});
            hash.update(std::uint64_t{n.what.rdev_major} << 32 | n.what.rdev_minor);
            hash.update(std::uint64_t{n.content.size()}).update(n.content);
        }
        return hash.finish();
    }

private:
    [[nodiscard]] static result<std::string> normal(std::string_view path) {
        std::string out;
        while (!path.empty()) {
            auto const slash = path.find('/');
            auto const part = path.substr(0, slash);
            path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
            if (part == "." || part == "..")
                return fail(errc::invalid_argument, "initramfs.path", out.size());
            if (part.empty())
                continue;
            if (!out.empty())
                out += '/';
            out += part;
        }
        if (out.empty() || out.size() >= cpio_abi::name_max || out.find('\0') != std::string::npos)
            return fail(errc::invalid_argument, "initramfs.path", out.size());
        return out;
    }
    [[nodiscard]] auto find(std::string_view path) noexcept {
        return std::lower_bound(nodes_.begin(), nodes_.end(), path,
                                [](node const& n, std::string_view p) { return std::string_view(n.path) < p; });
    }
    [[nodiscard]] static bool is_directory(cpio_attributes const& what) noexcept {
        return (what.mode & cpio_abi::type_mask) == cpio_abi::type_directory;
    }
    [[nodiscard]] result<> add(std::string_view raw_path, cpio_attributes what, std::span<std::byte const> content) {
        KTSTR_TRY(auto path, normal(raw_path));
        for (auto slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
            auto const parent = path.substr(0, slash);
            auto const at = find(parent);
            if (at == nodes_.end() || at->path != parent)
                nodes_.insert(at, node{parent, {cpio_abi::type_directory | 0755, 0, 0}, {}});
            else if (!is_directory(at->what)) // A path below a file or a link would land somewhere else, or nowhere.
                return fail(errc::already_exists, "initramfs.parent", slash);
        }
        auto const at = find(path);
        if (at != nodes_.end() && at->path == path) {
            bool const same = at->what.mode == what.mode && at->what.rdev_major == what.rdev_major &&
                              at->what.rdev_minor == what.rdev_minor && std::ranges::equal(at->content, content);
            if (same || (is_directory(at->what) && is_directory(what)))
                return {};
            return fail(errc::already_exists, "initramfs.path", content.size());
        }
        nodes_.insert(at, node{std::move(path), what, content});
        return {};
    }

    std::vector<node> nodes_;
    std::vector<std::vector<std::byte>> owned_;
};

/// The nodes that every guest of ours has before its own files: `/dev/console` for pid 1's standard streams, `/dev/null`,
/// and the folder for the agent's input.
[[nodiscard]] inline result<> add_initramfs_skeleton(initramfs_builder& into) {
    KTSTR_CHECK(into.add_directory("dev"));
    KTSTR_CHECK(into.add_char_device("dev/console", 0600, 5, 1)); // Documentation/admin-guide/devices.txt
    KTSTR_CHECK(into.add_char_device("dev/null", 0666, 1, 3));
    KTSTR_CHECK(into.add_directory("ktstr", 0700));
    return {};
}

/// The small archive that is different in every run: the plan (and whatever else `builder` holds), uncompressed.
/// Unpacked after the base, so a path in both ends up with the suffix's content.
[[nodiscard]] inline result<std::vector<std::byte>> make_initramfs_suffix(std::span<std::byte const> plan) {
    initramfs_builder builder;
    KTSTR_CHECK(builder.add_directory("ktstr", 0700));
    KTSTR_CHECK(builder.add_file(initramfs_plan_path, 0600, plan));
    return builder.archive();
}

} // namespace ktstr
