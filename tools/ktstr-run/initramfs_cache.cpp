// SPDX-License-Identifier: Apache-2.0
/// \file
/// Making and reading initramfs images for the command line.
#include "ktstr-run/initramfs_cache.hpp"

#include "ktstr/boot/initramfs.hpp"
#include "ktstr/boot/initramfs_cache.hpp"
#include "ktstr/boot/initramfs_closure.hpp"
#include "ktstr/sys/io.hpp"
#include "support/quantity.hpp"
#include "support/xdg.hpp"

#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <memory>
#include <utility>

namespace ktstr::tool {

namespace {

/// The base is not compressed: the guest copies 3 MiB faster than it decompresses 1 (docs/initramfs.md has the figures).
using base_packing = store_only;

std::string file_name(std::string const& path) {
    auto const slash = path.rfind('/');
    return slash == std::string::npos ? path : path.substr(slash + 1);
}

std::string without_links(std::string const& path) {
    std::unique_ptr<char, decltype(&std::free)> const real(::realpath(path.c_str(), nullptr), &std::free);
    return real ? std::string(real.get()) : path;
}

outcome<> no_library_missing(library_closure const& closure) {
    if (closure.missing.empty())
        return {};
    std::string names;
    for (auto const& m : closure.missing)
        names += fmt::format("{}{} (needed by {})", names.empty() ? "" : ", ", m.name, m.needed_by);
    return problem_of(exit_code::bad_input, "a library that the guest would need is not on this machine: " + names,
                      closure.missing.front().needed_by,
                      "install it, or add its folder to the program's RUNPATH or to /etc/ld.so.conf, or use a static build");
}

outcome<> add_program(initramfs_builder& builder, std::string const& path) {
    auto const wrong = [&path](error const& e, std::string what) {
        return std::unexpected(problem_from(e, exit_code::harness, std::move(what), path));
    };
    auto const content = host_files{}.read(path);
    if (!content)
        return wrong(content.error(), "cannot read the program that becomes the guest's /init");
    auto const needs = read_elf_needs(*content);
    if (!needs)
        return wrong(needs.error(), "the program that becomes the guest's /init is no 64-bit ELF program");
    if (!needs->interpreter.empty()) { // A build with shared libraries: they come along.
        closure_builder<host_files> closure;
        if (auto added = closure.add_as(without_links(path), "/init"); !added)
            return wrong(added.error(), "cannot collect the libraries of the guest's /init");
        auto found = closure.take();
        if (auto complete = no_library_missing(found); !complete)
            return complete;
        if (auto added = add_closure(builder, std::move(found)); !added)
            return wrong(added.error(), "cannot add the libraries of the guest's /init");
        return {};
    }
    auto stripped = strip_elf(*content);
    if (!stripped)
        return wrong(stripped.error(), "cannot strip the program that becomes the guest's /init");
    if (auto added = builder.add_file(initramfs_init_path, 0755, *std::move(stripped)); !added)
        return wrong(added.error(), "cannot add the guest's /init");
    return {};
}

outcome<> add_modules(initramfs_builder& builder, std::span<std::string const> modules) {
    if (auto made = builder.add_directory(initramfs_module_folder); !made)
        return std::unexpected(problem_from(made.error(), exit_code::harness, "cannot add the folder of modules"));
    std::size_t number = 0;
    for (auto const& path : modules) {
        auto content = host_files{}.read(path);
        if (!content)
            return std::unexpected(problem_from(content.error(), exit_code::harness, "cannot read a kernel module", path,
                                                "remove the kernel from the store and add it again"));
        auto const name = fmt::format("{}/{:02}-{}", initramfs_module_folder, number++, file_name(path));
        if (auto added = builder.add_file(name, 0644, *std::move(content)); !added)
            return std::unexpected(problem_from(added.error(), exit_code::harness, "cannot add a kernel module", path));
    }
    return {};
}

outcome<> add_includes(initramfs_builder& builder, std::span<include_file const> include) {
    if (include.empty())
        return {};
    closure_builder<host_files> closure;
    for (auto const& [file, path] : include) {
        auto const added = file == path || path.empty() ? closure.add(file) : closure.add_as(file, path);
        if (!added)
            return std::unexpected(problem_from(added.error(), exit_code::bad_input, "cannot take this file into the guest",
                                                file, "name a regular file that you can read"));
    }
    auto found = closure.take();
    if (auto complete = no_library_missing(found); !complete)
        return complete;
    if (auto added = add_closure(builder, std::move(found)); !added)
        return std::unexpected(problem_from(added.error(), exit_code::bad_input,
                                            "two different things want the same path in the guest", "option --include",
                                            "give one of them another PATH (--include FILE:PATH)"));
    return {};
}

std::string note_for(cached_initramfs const& made) {
    switch (made.origin) {
    case initramfs_origin::rebuilt: return fmt::format("the cached initramfs {} was damaged ({}) and has been rebuilt", made.path, describe(made.why));
    case initramfs_origin::unsaved: return fmt::format("the initramfs could not be saved in the cache: {}", describe(made.why));
    case initramfs_origin::built:
    case initramfs_origin::cached: break;
    }
    return {};
}

} // namespace

outcome<made_initramfs> make_initramfs(initramfs_request const& request) {
    initramfs_builder builder;
    if (auto added = add_initramfs_skeleton(builder); !added)
        return std::unexpected(problem_from(added.error(), exit_code::harness, "cannot begin the initramfs"));
    if (auto added = add_program(builder, request.program); !added)
        return std::unexpected(added.error());
    if (auto added = add_modules(builder, request.modules); !added)
        return std::unexpected(added.error());
    if (auto added = add_includes(builder, request.include); !added)
        return std::unexpected(added.error());
    auto suffix = make_initramfs_suffix(request.plan);
    if (!suffix)
        return std::unexpected(problem_from(suffix.error(), exit_code::harness, "cannot pack the plan"));

    // Without a cache folder the cache fails to publish, and that is a note.
    auto folder = xdg_make(xdg_folder::cache);
    auto const place = folder ? *folder + "/initramfs" : std::string("/nonexistent");
    if (folder)
        ::mkdir(place.c_str(), 0700);
    initramfs_cache const cache(place);
    auto made = cache.get(builder, base_packing{}, *std::move(suffix));
    if (!made)
        return std::unexpected(problem_from(made.error(), exit_code::harness, "cannot build the initramfs"));
    auto note = folder ? note_for(*made) : "the initramfs could not be saved in the cache: " + folder.error().what;
    bool const saved = made->origin != initramfs_origin::unsaved;
    return made_initramfs{std::move(made->image), saved ? std::move(made->path) : std::string(), std::move(note)};
}

outcome<initramfs_image> read_initramfs(std::string const& path, std::span<std::byte const> plan) {
    auto const wrong = [&path](error const& e) {
        return std::unexpected(problem_from(e, exit_code::bad_input, "cannot use this initramfs", path,
                                            "name a readable cpio archive, compressed or not, with our agent as /init"));
    };
    auto suffix = make_initramfs_suffix(plan);
    if (!suffix)
        return wrong(suffix.error());
    if (auto entry = initramfs_cache::open_entry(path)) {
        entry->suffix = *std::move(suffix);
        return *std::move(entry);
    }
    auto const content = host_files{bytes{4 * GiB}}.read(path);
    if (!content)
        return wrong(content.error());
    if (content->empty())
        return wrong(error{errc::truncated, 0, 0, "initramfs"});
    // A foreign archive's own size is all that is known without unpacking it.
    auto image = make_initramfs_image(*content, bytes{content->size()}, *std::move(suffix));
    if (!image)
        return wrong(image.error());
    return *std::move(image);
}

} // namespace ktstr::tool
