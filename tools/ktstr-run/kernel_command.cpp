// SPDX-License-Identifier: Apache-2.0
/// \file
/// `ktstr-run kernel`: fetch, add, list, path, symbols, rm.
#include "ktstr-run/command.hpp"
#include "ktstr-run/kernel_tool.hpp"
#include "support/interrupt.hpp"
#include "support/near_miss.hpp"
#include "support/progress.hpp"
#include "support/quantity.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

namespace ktstr::tool {

namespace {

using json = nlohmann::ordered_json;

std::uint64_t size_of(kernel_manifest const& manifest) {
    std::uint64_t out = 0;
    for (auto const& file : manifest.files)
        out += file.size;
    return out;
}

bool has_file(kernel_manifest const& manifest, std::string_view role) {
    return std::any_of(manifest.files.begin(), manifest.files.end(), [&](auto const& f) { return f.role == role; });
}

std::vector<std::string> shown_aliases(kernel_manifest const& manifest) {
    std::vector<std::string> out;
    for (auto const& alias : manifest.aliases)
        if (!alias.starts_with("path:"))
            out.push_back(alias);
    return out;
}

json to_json(kernel_store const& store, std::string const& key) {
    json out{{"key", key}, {"dir", store.dir_of(key)}};
    auto const opened = store.resolve(key);
    if (!opened) {
        out["damaged"] = describe(opened.error());
        return out;
    }
    auto const& m = opened->manifest;
    out["release"] = m.release;
    out["version"] = m.version;
    out["source"] = m.source;
    out["names"] = shown_aliases(m);
    out["build_id"] = m.build_id;
    out["vmlinux"] = opened->vmlinux;
    out["relocs"] = opened->relocs;
    out["bzimage"] = opened->bzimage;
    out["config"] = opened->config;
    out["initramfs_formats"] = json::array();
    for (std::string_view rest = m.initramfs; !rest.empty();)
        out["initramfs_formats"].push_back(std::string(::ktstr::detail::next_word(rest)));
    out["drivers"] = {{"virtio_mmio", ::ktstr::detail::spell(m.drivers.virtio_mmio)},
                      {"virtio_pci", ::ktstr::detail::spell(m.drivers.virtio_pci)},
                      {"virtio_console", ::ktstr::detail::spell(m.drivers.virtio_console)}};
    out["modules"] = json::array();
    for (auto const& module : opened->modules)
        out["modules"].push_back({{"name", module.name}, {"path", module.file}});
    out["stored_modules"] = json::array();
    for (auto const& module : m.modules)
        out["stored_modules"].push_back(module.name);
    out["kaslr"] = !opened->relocs.empty();
    out["bytes"] = size_of(m);
    out["notes"] = m.notes;
    return out;
}

void say_entry(kernel_store const& store, std::string const& key) {
    auto const manifest = store.manifest_of(key);
    if (!manifest) {
        std::printf("%s\n  damaged: %s; fetch or add it again, or remove it\n", key.c_str(),
                    describe(manifest.error()).c_str());
        return;
    }
    std::string names;
    for (auto const& alias : shown_aliases(*manifest))
        if (alias != "debian")
            names.append(names.empty() ? "" : " ").append(alias);
    std::printf("%s%s%s\n", key.c_str(), names.empty() ? "" : "  ", names.c_str());
    std::printf("  from %s, %s, virtio-mmio %s, virtio-pci %s, kaslr %s\n", manifest->source.c_str(),
                size_text(size_of(*manifest)).c_str(),
                std::string(::ktstr::detail::spell(manifest->drivers.virtio_mmio)).c_str(),
                std::string(::ktstr::detail::spell(manifest->drivers.virtio_pci)).c_str(),
                has_file(*manifest, "relocs") ? "possible" : "not possible");
    for (auto const& note : manifest->notes)
        std::printf("  note: %s\n", note.c_str());
    if (auto const opened = store.resolve(key); !opened)
        std::printf("  damaged: %s; it is made again when used\n", describe(opened.error()).c_str());
}

outcome<exit_code> list(invocation const& call, kernel_store const& store) {
    auto const keys = store.keys();
    if (!keys)
        return std::unexpected(problem_from(keys.error(), exit_code::harness, "cannot read the store", store.root()));
    if (call.has("json")) {
        json all = json::array();
        for (auto const& key : *keys)
            all.push_back(to_json(store, key));
        std::printf("%s\n", json{{"schema", "ktstr-kernels-1"}, {"store", store.root()}, {"kernels", all}}.dump(2).c_str());
        return exit_code::pass;
    }
    if (keys->empty())
        std::printf("no kernels in %s; get one: ktstr-run kernel fetch debian:7.3\n", store.root().c_str());
    for (auto const& key : *keys)
        say_entry(store, key);
    return exit_code::pass;
}

/// After fetch and add: the entry, as text or JSON.
outcome<exit_code> show_entry(invocation const& call, kernel_store const& store, std::string const& key) {
    if (call.has("json"))
        std::printf("%s\n", to_json(store, key).dump(2).c_str());
    else
        say_entry(store, key);
    return exit_code::pass;
}

outcome<exit_code> fetch(invocation const& call, kernel_store const& store, std::string const& spec, progress& show) {
    constexpr std::string_view prefix = "debian:";
    if (!spec.starts_with(prefix) && spec != "debian")
        return problem_of(exit_code::bad_input, "'" + spec + "' names no distribution to fetch from", "kernel fetch",
                          "write debian:SERIES, as debian:7.3; for a kernel of your own use: ktstr-run kernel add PATH");
    if (!call.has("force"))
        if (auto const known = store.find(spec)) {
            if (store.resolve(*known)) {
                if (!call.has("json"))
                    std::printf("%s is in the store (--force looks for a newer one)\n", spec.c_str());
                return show_entry(call, store, *known);
            }
            show.line("the store's copy of " + *known + " is damaged; fetching it again");
        }
    auto const key = fetch_debian_kernel(store, spec == "debian" ? std::string() : spec.substr(prefix.size()), show);
    if (!key)
        return std::unexpected(key.error());
    show.finish();
    return show_entry(call, store, *key);
}

outcome<exit_code> add(invocation const& call, kernel_store const& store, std::string const& path, progress& show) {
    auto const key = add_kernel(store, path, call.has("force"), show);
    if (!key)
        return std::unexpected(key.error());
    show.finish();
    return show_entry(call, store, *key);
}

outcome<exit_code> path(invocation const& call, std::string const& spec, progress& show) {
    auto const kernel = resolve_kernel(spec, show);
    show.finish();
    if (!kernel)
        return std::unexpected(kernel.error());
    if (call.has("json"))
        std::printf("%s\n", json{{"key", kernel->key}, {"dir", kernel->dir}, {"vmlinux", kernel->vmlinux}}.dump(2).c_str());
    else
        std::printf("%s\n", kernel->dir.c_str());
    return exit_code::pass;
}

outcome<exit_code> remove(kernel_store const& store, std::string const& spec) {
    auto const key = store.find(spec);
    if (!key) {
        auto const keys = store.keys();
        std::vector<std::string_view> names;
        if (keys)
            names.assign(keys->begin(), keys->end());
        return problem_of(exit_code::bad_input, "no kernel '" + spec + "' in the store", store.root(),
                          names.empty() ? "the store is empty" : hint(spec, names));
    }
    auto const gone = store.remove(*key);
    if (!gone && gone.error().code == errc::busy)
        return problem_of(exit_code::bad_input, "the kernel is in use by a running machine", store.dir_of(*key),
                          "wait for that run to end");
    if (!gone)
        return std::unexpected(problem_from(gone.error(), exit_code::harness, "cannot remove the kernel", store.dir_of(*key)));
    std::printf("removed %s\n", key->c_str());
    return exit_code::pass;
}

} // namespace

outcome<exit_code> kernel_command(invocation const& call) {
    constexpr std::array<std::string_view, 6> verbs{"fetch", "add", "list", "path", "symbols", "rm"};
    auto const verb = call.words.empty() ? std::string() : call.words[0];
    if (verb.empty())
        return problem_of(exit_code::bad_input, "what shall be done with kernels?", "kernel",
                          "one of: fetch SPEC, add PATH, list, path SPEC, symbols SPEC, rm SPEC");
    if (std::find(verbs.begin(), verbs.end(), verb) == verbs.end())
        return problem_of(exit_code::bad_input, "unknown word '" + verb + "' after 'kernel'", "kernel", hint(verb, verbs));
    auto const wanted = verb == "list" ? 1U : 2U;
    if (verb == "symbols" && call.words.size() < 2)
        return problem_of(exit_code::bad_input, "'kernel symbols' needs a kernel, and names if not all are wanted", "kernel",
                          "see: ktstr-run kernel --help");
    if (verb != "symbols" && call.words.size() != wanted)
        return problem_of(exit_code::bad_input, "'kernel " + verb + (wanted == 2 ? "' needs exactly one name" : "' takes no name"),
                          "kernel", "see: ktstr-run kernel --help");
    auto const store = user_kernel_store();
    if (!store)
        return std::unexpected(store.error());
    interrupt const stop;
    progress show(STDERR_FILENO, progress_style_for(STDERR_FILENO, false));
    if (verb == "list")
        return list(call, *store);
    auto const& name = call.words[1];
    if (verb == "fetch")
        return fetch(call, *store, name, show);
    if (verb == "add")
        return add(call, *store, name, show);
    if (verb == "path")
        return path(call, name, show);
    if (verb == "symbols")
        return show_kernel_symbols(name, std::span(call.words).subspan(2), call.has("json"), show);
    return remove(*store, name);
}

} // namespace ktstr::tool
