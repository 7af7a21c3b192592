// SPDX-License-Identifier: Apache-2.0
/// \file
/// From a kernel's name to an opened entry of the store.
#include "ktstr-run/kernel_tool.hpp"

#include "ktstr/store/deb_kernels.hpp"
#include "support/near_miss.hpp"
#include "support/xdg.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <unistd.h>
#include <vector>

namespace ktstr::tool {

namespace {

/// Every name that the store answers to.
std::vector<std::string> all_names(kernel_store const& store) {
    std::vector<std::string> out;
    auto const keys = store.keys();
    if (!keys)
        return out;
    for (auto const& key : *keys) {
        out.push_back(key);
        if (auto const manifest = store.manifest_of(key))
            for (auto const& alias : manifest->aliases)
                if (!alias.starts_with("path:"))
                    out.push_back(alias);
    }
    return out;
}

std::unexpected<problem> not_there(kernel_store const& store, std::string_view spec) {
    auto const names = all_names(store);
    std::vector<std::string_view> views(names.begin(), names.end());
    std::string remedy;
    if (spec.starts_with("debian:"))
        remedy = "get it: ktstr-run kernel fetch " + std::string(spec);
    else if (names.empty())
        remedy = "the store is empty; get a kernel: ktstr-run kernel fetch debian:7.3";
    else
        remedy = hint(spec, views);
    return problem_of(exit_code::bad_input, "no kernel '" + std::string(spec) + "' in the store", store.root(), remedy);
}

/// The key of the entry with the newest version among those that a guest of ours can use, else among all.
std::string newest(kernel_store const& store) {
    std::string best;
    std::string best_version;
    auto best_usable = false;
    auto const keys = store.keys();
    if (!keys)
        return best;
    for (auto const& key : *keys) {
        auto const manifest = store.manifest_of(key);
        if (!manifest)
            continue;
        auto const usable = manifest->drivers.virtio_mmio != config_state::absent ||
                            manifest->drivers.virtio_pci != config_state::absent;
        auto const newer = compare_deb_versions(manifest->version, best_version) > 0;
        if (best.empty() || (usable && !best_usable) || (usable == best_usable && newer)) {
            best = key;
            best_version = manifest->version;
            best_usable = usable;
        }
    }
    return best;
}

bool names_a_path(std::string_view spec) {
    return spec.find('/') != std::string_view::npos || ::access(std::string(spec).c_str(), F_OK) == 0;
}

/// Makes entry `key` again from its own bzImage, config and modules, when the damage is elsewhere.
bool rebuild_from_itself(kernel_store const& store, kernel_manifest const& manifest, progress& show) {
    auto const dir = store.dir_of(manifest.key);
    kernel_import request;
    for (auto const& file : manifest.files) {
        if (file.role == "vmlinux" || file.role == "relocs")
            continue;
        auto const path = dir + '/' + file.name;
        auto const digest = sha256_file(path.c_str());
        if (!digest || *digest != file.sha256)
            return false;
        if (file.role == "bzimage")
            request.image = path;
        else if (file.role == "config")
            if (auto text = read_file(path.c_str()))
                request.config = *std::move(text);
    }
    if (request.image.empty())
        return false;
    request.key_prefix = manifest.key;
    request.key_exact = true;
    request.modules_root = manifest.modules.empty() ? std::string() : dir + "/modules";
    request.release = manifest.release;
    request.version = manifest.version;
    request.source = manifest.source;
    request.aliases = manifest.aliases;
    request.notes = manifest.notes;
    return import_in_words(store, std::move(request), manifest.key, show).has_value();
}

/// Opens entry `key`; a damaged one is made again from what is left of it, or from where it came.
outcome<stored_kernel> open_or_rebuild(kernel_store const& store, std::string const& key, progress& show) {
    auto opened = store.resolve(key);
    if (opened)
        return *std::move(opened);
    if (opened.error().code != errc::bad_checksum)
        return std::unexpected(problem_from(opened.error(), exit_code::harness, "cannot open the kernel '" + key + "'",
                                            store.dir_of(key)));
    show.line("the store's copy of " + key + " is damaged (" + describe(opened.error()) + "); making it again");
    auto const manifest = store.manifest_of(key);
    if (manifest && rebuild_from_itself(store, *manifest, show))
        if (auto again = store.resolve(key))
            return *std::move(again);
    auto const source = manifest ? manifest->source : std::string();
    if (source.starts_with('/')) {
        auto const made = add_kernel(store, source, true, show);
        if (!made)
            return std::unexpected(made.error());
        if (auto again = store.resolve(*made))
            return *std::move(again);
    }
    auto const series = source.starts_with("debian:") ? source.substr(7)
                        : key.starts_with("debian-")  ? std::string(kernel_series(key.substr(7)))
                                                      : std::string();
    if (!series.empty()) {
        auto const made = fetch_debian_kernel(store, series, show);
        if (!made)
            return std::unexpected(made.error());
        if (auto again = store.resolve(*made))
            return *std::move(again);
    }
    return problem_of(exit_code::bad_input, "the store's copy of this kernel is damaged and nobody knows where it came from",
                      store.dir_of(key), "remove it (ktstr-run kernel rm " + key + ") and add it again");
}

} // namespace

outcome<kernel_store> user_kernel_store() {
    auto const cache = xdg_path(xdg_folder::cache);
    if (!cache)
        return std::unexpected(cache.error());
    return kernel_store(*cache + "/kernels");
}

outcome<virtio_transport> choose_transport(stored_kernel const& kernel, transport_wish wish) {
    auto const& drivers = kernel.manifest.drivers;
    bool const mmio = drivers.virtio_mmio != config_state::absent;
    bool const pci = drivers.virtio_pci != config_state::absent;
    if (mmio && wish != transport_wish::pci)
        return virtio_transport::mmio;
    if (pci && wish != transport_wish::mmio)
        return virtio_transport::pci;
    std::string notes;
    for (auto const& note : kernel.manifest.notes)
        notes.append("; ").append(note);
    std::string_view const missing = wish == transport_wish::pci    ? "virtio-pci"
                                     : wish == transport_wish::mmio ? "virtio-mmio"
                                                                    : "virtio-mmio or virtio-pci";
    return problem_of(exit_code::missing,
                      "this kernel has no " + std::string(missing) + " driver, which carries the guest's console and messages",
                      "kernel " + kernel.key + notes,
                      mmio || pci ? "leave --transport out"
                                  : "take a kernel that has one (see ktstr-run kernel list), as debian:7.3; one of your own: "
                                    "build it with CONFIG_VIRTIO_PCI or CONFIG_VIRTIO_MMIO and add it again");
}

outcome<std::vector<stored_module>> transport_modules(stored_kernel const& kernel, virtio_transport transport) {
    std::array<std::string_view, 2> const names{transport == virtio_transport::pci ? "virtio_pci" : "virtio_mmio",
                                                "virtio_console"};
    auto order = kernel.load_order(names);
    if (!order)
        return std::unexpected(problem_from(order.error(), exit_code::bad_input, "the kernel's modules cannot be put in order",
                                            kernel.dir, "fetch or add it again with --force"));
    return *std::move(order);
}

outcome<stored_kernel> resolve_kernel(std::string_view spec, progress& show) {
    auto const store = user_kernel_store();
    if (!store)
        return std::unexpected(store.error());
    if (spec.empty()) {
        auto const key = newest(*store);
        if (key.empty())
            return problem_of(exit_code::bad_input, "there is no kernel in the store", store->root(),
                              "get one: ktstr-run kernel fetch debian:7.3");
        return open_or_rebuild(*store, key, show);
    }
    // A folder with a manifest is an entry that somebody carried here; its files have times of their own.
    if (spec.starts_with('/') && ::access((std::string(spec) + "/manifest").c_str(), R_OK) == 0) {
        auto opened = store->resolve(spec, verify::sizes);
        if (opened)
            return *std::move(opened);
        return std::unexpected(problem_from(opened.error(), exit_code::bad_input, "this copy of a kernel is damaged",
                                            std::string(spec), "make it again"));
    }
    if (auto const key = store->find(spec))
        return open_or_rebuild(*store, *key, show);
    if (!names_a_path(spec))
        return not_there(*store, spec);
    auto const key = add_kernel(*store, std::string(spec), false, show);
    if (!key)
        return std::unexpected(key.error());
    return open_or_rebuild(*store, *key, show);
}

} // namespace ktstr::tool
