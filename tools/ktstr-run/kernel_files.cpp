// SPDX-License-Identifier: Apache-2.0
/// \file
/// From a path that a person gave to an entry of the store: finds what belongs together, and says what is wrong.
#include "ktstr-run/kernel_tool.hpp"

#include "ktstr/boot/kernel_image.hpp"
#include "ktstr/sys/io.hpp"
#include "support/interrupt.hpp"
#include "support/quantity.hpp"

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace ktstr::tool {

namespace {

bool is_file(std::string const& path) {
    struct stat st {};
    return ::stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode);
}
bool is_folder(std::string const& path) {
    struct stat st {};
    return ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}
std::string folder_of(std::string const& path) { return path.substr(0, path.rfind('/')); }
std::string text_of(std::string const& path) {
    auto text = read_file(path.c_str(), 4U << 20);
    return text ? *std::move(text) : std::string();
}

/// What the first KiB of the file say, or why it cannot be read.
outcome<kernel_kind> kind_of_file(std::string const& path) {
    auto const fd = unique_fd::open(path.c_str(), O_RDONLY);
    if (!fd)
        return std::unexpected(problem_from(fd.error(), exit_code::bad_input, "cannot read the kernel", path,
                                            "make it readable for you (Debian's /boot/vmlinuz-* often is for root only)"));
    std::array<std::byte, 1024> head{};
    auto const n = read_full(fd->get(), head);
    if (!n)
        return std::unexpected(problem_from(n.error(), exit_code::bad_input, "cannot read the kernel", path));
    return detect_kernel(std::span(head).first(*n));
}

std::string remedy_for(kernel_kind kind) {
    switch (kind) {
    case kernel_kind::elf_aarch64:
    case kernel_kind::arm64_image:
    case kernel_kind::arm64_zboot:
    case kernel_kind::elf_other: return "name a kernel that was built for x86_64";
    case kernel_kind::gzip: return "unpack it first: gunzip FILE";
    case kernel_kind::debian_package: return "unpack it first: dpkg-deb -x FILE FOLDER, then name the vmlinuz in FOLDER";
    default: return "name a bzImage (arch/x86/boot/bzImage, /boot/vmlinuz-*), a vmlinux, or a kernel build tree";
    }
}

outcome<> check_kind(std::string const& path) {
    auto const kind = kind_of_file(path);
    if (!kind)
        return std::unexpected(kind.error());
    if (*kind == kernel_kind::bzimage || *kind == kernel_kind::elf_x86_64)
        return {};
    struct stat st {};
    auto const empty = ::stat(path.c_str(), &st) == 0 && st.st_size == 0;
    return problem_of(exit_code::bad_input,
                      empty ? std::string("the kernel file is empty")
                            : "this is no x86_64 kernel but: " + std::string(name_of(*kind)),
                      path, remedy_for(*kind));
}

/// A build tree: the image it made, its .config, and itself as the place of modules.
outcome<kernel_import> locate_in_tree(std::string const& tree) {
    kernel_import out;
    for (auto const* const name : {"/arch/x86/boot/bzImage", "/arch/x86_64/boot/bzImage", "/vmlinux"})
        if (out.image.empty() && is_file(tree + name))
            out.image = tree + name;
    if (out.image.empty())
        return problem_of(exit_code::bad_input, "this folder holds no built kernel",
                          tree + " (no arch/x86/boot/bzImage, no vmlinux)",
                          "build it there first (make bzImage modules), or name the kernel file itself");
    out.config = text_of(tree + "/.config");
    out.modules_root = tree;
    auto release = text_of(tree + "/include/config/kernel.release");
    out.release = release.substr(0, release.find('\n'));
    return out;
}

/// A lone file: its .config and modules are looked for where distributions put them beside it.
kernel_import locate_beside(std::string const& path) {
    kernel_import out;
    out.image = path;
    auto const folder = folder_of(path);
    auto const name = path.substr(folder.size() + 1);
    std::string release;
    if (auto const dash = name.find('-'); dash != std::string::npos)
        release = name.substr(dash + 1);
    else if (is_folder(folder + "/kernel"))
        release = folder.substr(folder.rfind('/') + 1); // usr/lib/modules/VER/vmlinuz
    out.release = release;
    for (auto const& place : {folder + "/config-" + release, folder + "/config", folder + "/.config",
                              std::string("/boot/config-") + release})
        if (out.config.empty() && is_file(place))
            out.config = text_of(place);
    if (is_folder(folder + "/kernel"))
        out.modules_root = folder;
    auto const above = folder_of(folder);
    for (auto const& place : {above + "/lib/modules/" + release, above + "/usr/lib/modules/" + release,
                              std::string("/lib/modules/") + release})
        if (out.modules_root.empty() && !release.empty() && is_folder(place))
            out.modules_root = place;
    // arch/x86/boot/bzImage or vmlinux inside a build tree
    for (auto const* const up : {"", "/../../.."})
        if (out.config.empty() && is_file(folder + up + "/.config") && is_file(folder + up + "/Makefile")) {
            out.config = text_of(folder + up + "/.config");
            out.modules_root = folder + up;
        }
    return out;
}

std::string say_missing(std::vector<std::string> const& missing) {
    std::string out;
    for (auto const& one : missing)
        out.append(out.empty() ? "" : ", ").append(one);
    return out;
}

} // namespace

outcome<kernel_import> locate_kernel(std::string const& path) {
    std::array<char, PATH_MAX> absolute{};
    if (::realpath(path.c_str(), absolute.data()) == nullptr) {
        auto const number = errno;
        return problem_of(exit_code::bad_input, std::string("cannot find the kernel: ") + std::strerror(number), path,
                          "check the path; for a distribution's kernel use a name like debian:7.3");
    }
    auto const full = std::string(absolute.data());
    auto found = is_folder(full) ? locate_in_tree(full) : outcome<kernel_import>(locate_beside(full));
    if (!found)
        return found;
    if (auto const checked = check_kind(found->image); !checked)
        return std::unexpected(checked.error());
    struct stat st {};
    if (::stat(found->image.c_str(), &st) != 0)
        return problem_of(exit_code::bad_input, std::string("cannot read the kernel: ") + std::strerror(errno), found->image);
    found->source = full;
    found->aliases.push_back("path:" + full + ':' + std::to_string(st.st_size) + ':' +
                             std::to_string(::ktstr::detail::mtime_of(st)));
    return found;
}

outcome<std::string> import_in_words(kernel_store const& store, kernel_import request, std::string const& named,
                                     progress& show) {
    auto key = import_kernel(store, std::move(request), all_decompressors{},
                             [&](std::string const& step) { show.phase(step); });
    if (interrupt::number() != 0)
        return std::unexpected(interrupt::as_problem());
    if (key)
        return *std::move(key);
    auto const& e = key.error().cause;
    auto const bad = [&](std::string what, std::string remedy) {
        return problem_of(exit_code::bad_input, std::move(what), named, std::move(remedy));
    };
    if (e.where == "kernel.needs")
        return bad("this kernel lacks what a guest needs: " + say_missing(key.error().missing),
                   "build it with these options, or fetch one that has them: ktstr-run kernel fetch debian:7.3");
    if (e.where == "kernel.kind")
        return bad("this is no x86_64 kernel but: " + std::string(name_of(static_cast<kernel_kind>(e.value))),
                   remedy_for(static_cast<kernel_kind>(e.value)));
    if (e.where == "decompress.method")
        return bad("this kernel is compressed with " + std::string(name_of(static_cast<compression>(e.value))) +
                       ", which is not supported",
                   "build it with CONFIG_KERNEL_ZSTD, GZIP, XZ, LZMA or LZ4, or name its vmlinux");
    if (e.where == "elf.machine")
        return bad("this kernel is for another machine (ELF machine number " + std::to_string(e.value) + ")",
                   "name a kernel that was built for x86_64");
    if (e.where == "bzimage.xloadflags" || e.where == "bzimage.protocol")
        return bad("this bzImage has no 64-bit kernel (" + describe(e) + ")", "name an x86_64 kernel of this century");
    if (e.code == errc::no_space && e.os_errno != 0)
        return problem_of(exit_code::harness, "the disk is full; the store is as it was", store.root(),
                          "free about 120 MB there, or point XDG_CACHE_HOME elsewhere");
    if (e.code == errc::truncated)
        return bad("the kernel file is cut off: " + describe(e), "copy or build it again");
    if (e.code == errc::bad_format || e.code == errc::bad_checksum || e.code == errc::out_of_range)
        return bad("the kernel file is damaged: " + describe(e), "copy or build it again");
    if (e.code == errc::permission)
        return problem_of(exit_code::harness, "no permission: " + describe(e), store.root() + " or " + named,
                          "make both accessible for you");
    return std::unexpected(problem_from(e, exit_code::harness, "cannot put the kernel into the store", store.root(),
                                        "make the folder writable for you with 120 MB to spare, or point XDG_CACHE_HOME elsewhere"));
}

outcome<std::string> add_kernel(kernel_store const& store, std::string const& path, bool again, progress& show) {
    auto found = locate_kernel(path);
    if (!found)
        return std::unexpected(found.error());
    if (!again)
        if (auto const known = store.find(found->aliases.front()); known && store.resolve(*known))
            return *known;
    return import_in_words(store, *std::move(found), path, show);
}

} // namespace ktstr::tool
