// SPDX-License-Identifier: Apache-2.0
/// \file
/// A kernel of the store, opened: where its files are, and which modules a guest must load.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/store/manifest.hpp"
#include "ktstr/store/module_info.hpp"
#include "ktstr/store/sha256.hpp"
#include "ktstr/sys/fd.hpp"
#include "ktstr/sys/io.hpp"

#include <array>
#include <cstdint>
#include <fcntl.h>
#include <span>
#include <string>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>
#include <utility>
#include <vector>

namespace ktstr {

/// How much of an entry to check when it is opened.
enum class verify : std::uint8_t {
    sizes, ///< Every file is there and has its size: for copies of an entry, whose times differ.
    quick, ///< And its modification time; where that differs, its checksum.
    full,  ///< Every checksum.
};

/// An entry of the store, opened. While it lives, `kernel rm` refuses to remove the entry.
struct stored_kernel {
    std::string key;
    std::string release;
    std::string dir;      ///< Absolute folder of the entry.
    std::string vmlinux;  ///< Path of the unpacked ELF kernel; always there.
    std::string relocs;   ///< Path of the raw relocation tables (`parse_relocs`); empty: KASLR is not possible.
    std::string bzimage;  ///< Path of the bzImage; empty when the kernel was added as a vmlinux.
    std::string config;   ///< Path of its .config; empty when nobody knows it.
    std::vector<stored_module> modules; ///< What a guest must load for virtio-mmio and virtio-console, in load order.
    kernel_manifest manifest;
    unique_fd pin;        ///< Shared lock on the manifest.

    /// The stored modules that `names` need, with absolute paths, in load order. Names without a stored module are
    /// taken for built in (see `manifest.drivers`).
    [[nodiscard]] result<std::vector<stored_module>> load_order(std::span<std::string_view const> names) const {
        KTSTR_TRY(auto const order, module_load_order(manifest.modules, names));
        std::vector<stored_module> out;
        for (auto const i : order) {
            out.push_back(manifest.modules[i]);
            out.back().file = dir + '/' + out.back().file;
        }
        return out;
    }
};

namespace detail {
[[nodiscard]] inline std::int64_t mtime_of(struct stat const& st) noexcept {
    return std::int64_t{st.st_mtim.tv_sec} * 1'000'000'000 + st.st_mtim.tv_nsec;
}
/// Checks one file of an entry; `index` is what an error carries.
[[nodiscard]] inline result<> check_file(std::string const& path, stored_file const& file, verify how,
                                         std::uint64_t index) {
    struct stat st {};
    if (::stat(path.c_str(), &st) != 0)
        return fail(errc::bad_checksum, "store.file_missing", index);
    if (static_cast<std::uint64_t>(st.st_size) != file.size)
        return fail(errc::bad_checksum, "store.file_size", index);
    if (how == verify::full || (how == verify::quick && mtime_of(st) != file.mtime_ns)) {
        KTSTR_TRY(auto const digest, sha256_file(path.c_str()));
        if (digest != file.sha256)
            return fail(errc::bad_checksum, "store.file_checksum", index);
    }
    return {};
}
} // namespace detail

namespace detail {
/// One attempt at opening an entry; `text` gets its manifest as far as that could be read.
[[nodiscard]] inline result<stored_kernel> try_open_stored_kernel(std::string const& dir, verify how, std::string& text) {
    stored_kernel out;
    auto const manifest_path = dir + "/manifest";
    KTSTR_TRY(out.pin, unique_fd::open(manifest_path.c_str(), O_RDONLY));
    // Best effort: on a file system without locks the entry is simply not protected from `kernel rm`.
    static_cast<void>(::flock(out.pin.get(), LOCK_SH | LOCK_NB));
    KTSTR_TRY(auto const raw, read_to_end(out.pin.get(), 4U << 20));
    text.assign(reinterpret_cast<char const*>(raw.data()), raw.size());
    auto manifest = read_manifest(text);
    if (!manifest)
        return fail(manifest.error().code == errc::unsupported ? errc::unsupported : errc::bad_checksum,
                    manifest.error().where);
    for (std::size_t i = 0; i < manifest->files.size(); ++i) {
        auto const& file = manifest->files[i];
        auto path = dir + '/' + file.name;
        KTSTR_CHECK(check_file(path, file, how, i));
        if (file.role == "vmlinux")
            out.vmlinux = std::move(path);
        else if (file.role == "relocs")
            out.relocs = std::move(path);
        else if (file.role == "bzimage")
            out.bzimage = std::move(path);
        else if (file.role == "config")
            out.config = std::move(path);
    }
    if (out.vmlinux.empty())
        return fail(errc::bad_checksum, "store.no_vmlinux");
    out.key = manifest->key;
    out.release = manifest->release;
    out.dir = dir;
    out.manifest = *std::move(manifest);
    constexpr std::array<std::string_view, 2> wanted{"virtio_mmio", "virtio_console"};
    KTSTR_TRY(out.modules, out.load_order(wanted));
    return out;
}
} // namespace detail

/// Opens the entry in folder `dir`. `errc::not_found` when there is no manifest; `errc::bad_checksum` when the manifest
/// or a file is damaged or missing (the value is the file's index in the manifest).
[[nodiscard]] inline result<stored_kernel> open_stored_kernel(std::string const& dir, verify how = verify::quick) {
    for (int attempt = 0;; ++attempt) {
        std::string text;
        auto opened = detail::try_open_stored_kernel(dir, how, text);
        if (opened || attempt == 100 || opened.error().code != errc::bad_checksum)
            return opened;
        // An entry that was replaced while we looked at it mixes old and new: then there is another manifest now.
        auto const now = read_file((dir + "/manifest").c_str(), 4U << 20);
        if (now && *now == text)
            return opened;
    }
}

} // namespace ktstr
