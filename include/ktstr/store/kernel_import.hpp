// SPDX-License-Identifier: Apache-2.0
/// \file
/// Makes an entry of the store from a kernel's files: image, .config, folder of modules.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/boot/decompress.hpp"
#include "ktstr/boot/kernel_config.hpp"
#include "ktstr/store/kernel_needs.hpp"
#include "ktstr/store/kernel_store.hpp"
#include "ktstr/store/kernel_unpack.hpp"
#include "ktstr/store/module_info.hpp"
#include "ktstr/sys/mapping.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <fcntl.h>
#include <fts.h>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ktstr {

/// What to import and how to call it.
struct kernel_import {
    std::string key_prefix = "local"; ///< The key is "<prefix>-<release>"...
    bool key_with_hash = true;        ///< ...and, with this, the start of the image's checksum.
    bool key_exact = false;           ///< The key is the prefix and nothing else.
    std::string image;                ///< bzImage or vmlinux.
    std::string config;               ///< Text of its .config; empty: the image's own copy, if any.
    std::string modules_root;         ///< Folder to search for modules; empty: none.
    std::string release;              ///< What the image says goes first.
    std::string version;
    std::string source;
    std::vector<std::string> aliases;
    std::vector<std::string> notes;
};

/// Why an import was refused, for the words of a message.
struct import_refusal {
    error cause{};                     ///< The library's error; `errc::unsupported` at "kernel.needs" for `missing`.
    std::vector<std::string> missing{}; ///< Options that the kernel lacks.
};

/// Modules kept in an entry when the kernel has them: what a guest, or the lab's own kernel, may load.
inline constexpr std::array<std::string_view, 12> kept_modules{
    "virtio_mmio", "virtio_console", "virtio_pci", "virtio_blk",  "virtio_net", "virtio_balloon",
    "9p",          "9pnet_virtio",   "kvm_amd",    "kvm_intel",   "vsock",      "vmw_vsock_virtio_transport"};

namespace detail {
/// Adds a note once: an entry that is made again has its notes already.
inline void add_note(std::vector<std::string>& notes, std::string note) {
    if (std::find(notes.begin(), notes.end(), note) == notes.end())
        notes.push_back(std::move(note));
}

/// A module file found below a folder.
struct module_file {
    std::string name;
    std::string path;
};

/// All "*.ko", "*.ko.xz", "*.ko.zst" and "*.ko.gz" below `root`; the first of each name in path order.
[[nodiscard]] inline std::vector<module_file> find_module_files(std::string root) {
    std::vector<module_file> out;
    std::array<char*, 2> roots{root.data(), nullptr};
    auto* const walk = ::fts_open(roots.data(), FTS_PHYSICAL | FTS_NOCHDIR | FTS_NOSTAT, nullptr);
    if (walk == nullptr)
        return out;
    while (auto const* const entry = ::fts_read(walk)) {
        auto const file = std::string_view(entry->fts_name, entry->fts_namelen);
        auto const suffix = file.rfind(".ko");
        if (suffix == std::string_view::npos || suffix == 0 || entry->fts_info == FTS_D || entry->fts_info == FTS_DP)
            continue;
        if (auto const rest = file.substr(suffix + 3); rest != "" && rest != ".xz" && rest != ".zst" && rest != ".gz")
            continue;
        out.push_back({module_name(file.substr(0, suffix)), entry->fts_path});
    }
    ::fts_close(walk);
    std::sort(out.begin(), out.end(), [](module_file const& a, module_file const& b) {
        return a.name != b.name ? a.name < b.name : a.path < b.path;
    });
    return out;
}

/// Puts `kept_modules`, as far as they are below `root`, with everything they depend on into `entry`.
template <Decompressor D>
[[nodiscard]] result<> import_modules(kernel_staging& entry, std::string const& root, D const& decompressor) {
    auto const files = find_module_files(root);
    std::vector<std::string> wanted(kept_modules.begin(), kept_modules.end());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        auto const name = wanted[i];
        auto& modules = entry.manifest().modules;
        auto const same = [&](auto const& m) { return m.name == name; };
        auto const file = std::find_if(files.begin(), files.end(), same);
        if (file == files.end() || std::find_if(modules.begin(), modules.end(), same) != modules.end())
            continue;
        KTSTR_TRY(auto const raw, read_file(file->path.c_str()));
        auto const packed = std::as_bytes(std::span(raw.data(), raw.size()));
        std::vector<std::byte> unpacked;
        if (detect_compression(packed) != compression::none) {
            KTSTR_TRY(unpacked, decompressor.unpack(packed, 4 * packed.size(), 256U << 20));
        }
        KTSTR_TRY(auto const info, read_module_info(unpacked.empty() ? packed : std::span<std::byte const>(unpacked)));
        auto const inner = "modules/" + file->path.substr(file->path.rfind('/') + 1);
        KTSTR_CHECK(entry.put("module", inner, packed));
        modules.push_back({name, inner, info.depends});
        wanted.insert(wanted.end(), info.depends.begin(), info.depends.end());
    }
    return {};
}

/// How the kernel has a driver when no .config tells: from its modules and its BTF.
[[nodiscard]] inline config_state guess_driver(kernel_manifest const& manifest, std::span<std::byte const> vmlinux,
                                               std::string_view module, std::string_view function) {
    for (auto const& m : manifest.modules)
        if (m.name == module)
            return config_state::module;
    return has_built_in_function(vmlinux, function) ? config_state::built_in : config_state::absent;
}
[[nodiscard]] inline bool has_module(kernel_manifest const& manifest, std::string_view name) {
    return std::any_of(manifest.modules.begin(), manifest.modules.end(), [&](auto const& m) { return m.name == name; });
}
/// Fills `drivers`; a driver that is said to be a module and whose file is not there is absent, with a note.
inline void settle_drivers(kernel_manifest& manifest, std::string_view config, std::span<std::byte const> vmlinux) {
    auto& drivers = manifest.drivers;
    if (config.empty()) {
        drivers.virtio_mmio = guess_driver(manifest, vmlinux, "virtio_mmio", "virtio_mmio_probe");
        drivers.virtio_pci = guess_driver(manifest, vmlinux, "virtio_pci", "virtio_pci_probe");
        drivers.virtio_console = guess_driver(manifest, vmlinux, "virtio_console", "virtcons_probe");
        return;
    }
    drivers = drivers_of_config(config);
    auto const settle = [&](config_state& state, std::string_view name) {
        if (state != config_state::module || has_module(manifest, name))
            return;
        state = config_state::absent;
        add_note(manifest.notes, "the module " + std::string(name) + " was not found");
    };
    settle(drivers.virtio_mmio, "virtio_mmio");
    settle(drivers.virtio_pci, "virtio_pci");
    settle(drivers.virtio_console, "virtio_console");
}
} // namespace detail

/// Makes (or replaces) the entry and returns its key. Nothing is left behind when it fails. `Progress` is called with a
/// line of text before each slow step.
template <Decompressor D, class Progress>
[[nodiscard]] std::expected<std::string, import_refusal> import_kernel(kernel_store const& store, kernel_import request,
                                                                       D const& decompressor, Progress&& progress) {
    std::vector<std::string> missing;
    auto const run = [&]() -> result<std::string> {
        progress("unpacking the kernel");
        KTSTR_TRY(auto const fd, unique_fd::open(request.image.c_str(), O_RDONLY));
        KTSTR_TRY(auto const size, file_size(fd.get()));
        if (size == 0)
            return fail(errc::truncated, "kernel.empty");
        KTSTR_TRY(auto const file, mapping::map(static_cast<std::size_t>(size), PROT_READ, MAP_PRIVATE, fd.get()));
        KTSTR_TRY(auto const kernel, unpack_kernel(file.span(), decompressor));
        auto const& config = request.config.empty() ? kernel.config : request.config;
        if (!config.empty()) {
            auto lacks = check_kernel_config(config);
            if (!lacks.vital.empty()) {
                missing = std::move(lacks.vital);
                return fail(errc::unsupported, "kernel.needs", missing.size());
            }
            for (auto const& note : lacks.notes)
                detail::add_note(request.notes, "no " + note);
        }
        auto const release = kernel.release.empty() ? request.release : kernel.release;
        auto key = request.key_prefix;
        if (!request.key_exact)
            key += '-' + (release.empty() ? "unknown" : release);
        for (auto& c : key)
            if (c == '/' || c == ' ' || static_cast<unsigned char>(c) < 0x20)
                c = '_';
        if (request.key_with_hash && !request.key_exact)
            key += '-' + sha256_hex(file.span()).substr(0, 12);
        KTSTR_TRY(auto entry, store.stage(key));
        auto& manifest = entry.manifest();
        manifest.release = release;
        manifest.version = std::move(request.version);
        manifest.source = std::move(request.source);
        manifest.banner = kernel.banner;
        manifest.build_id = kernel.build_id;
        manifest.aliases = std::move(request.aliases);
        manifest.notes = std::move(request.notes);
        progress("storing " + key);
        if (kernel.kind == kernel_kind::bzimage)
            KTSTR_CHECK(entry.put("bzimage", "bzImage", file.span()));
        KTSTR_CHECK(entry.put("vmlinux", "vmlinux", kernel.vmlinux));
        if (!kernel.relocs.empty())
            KTSTR_CHECK(entry.put("relocs", "relocs", kernel.relocs));
        if (config.empty())
            detail::add_note(manifest.notes, "its .config is not known: its options could not be checked");
        else
            KTSTR_CHECK(entry.put("config", "config", std::as_bytes(std::span(config.data(), config.size()))));
        manifest.initramfs = initramfs_formats(config);
        if (!request.modules_root.empty())
            KTSTR_CHECK(detail::import_modules(entry, request.modules_root, decompressor));
        detail::settle_drivers(manifest, config, kernel.vmlinux);
        auto const& drivers = manifest.drivers;
        if (drivers.virtio_mmio == config_state::absent && drivers.virtio_pci == config_state::absent)
            missing.emplace_back("a virtio transport: virtio_mmio or virtio_pci (built in, or its module)");
        if (drivers.virtio_console == config_state::absent)
            missing.emplace_back("virtio_console (built in, or its module)");
        if (!missing.empty())
            return fail(errc::unsupported, "kernel.needs", missing.size());
        KTSTR_CHECK(entry.commit());
        return key;
    };
    auto key = run();
    if (!key)
        return std::unexpected(import_refusal{key.error(), std::move(missing)});
    return *std::move(key);
}

} // namespace ktstr
