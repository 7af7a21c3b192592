// SPDX-License-Identifier: Apache-2.0
/// \file
/// Programs with all the libraries they need, laid out in the guest as they are on the host.
///
/// The rules are ld.so(8)'s: a name with a slash is a path; else DT_RPATH of the object and of those that loaded it
/// (unless the object has DT_RUNPATH), DT_RUNPATH, /etc/ld.so.cache, the standard folders. Symbolic links, of folders
/// too, are reproduced as links, so that every path that works on the host works in the guest. Not followed: libraries
/// that a program opens by itself (dlopen: NSS, iconv, plug-ins) and LD_LIBRARY_PATH.
#pragma once

#include "ktstr/abi/elf.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/boot/elf_needed.hpp"
#include "ktstr/boot/initramfs.hpp"
#include "ktstr/boot/initramfs_files.hpp"
#include "ktstr/boot/initramfs_ldcache.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ktstr {

/// Bounds of one closure; reaching one is `errc::no_space`.
struct closure_limits {
    std::size_t files = 1024;
    bytes content{1 * GiB};
};

/// A library that was asked for and not found.
struct missing_library {
    std::string name;
    std::string needed_by; ///< Path of the program or library that asks for it.
};

/// One path to create in the guest.
struct closure_node {
    std::string path; ///< Absolute.
    std::string link; ///< The target of a symbolic link; empty for a file.
    std::uint32_t permissions = 0;
    std::vector<std::byte> content;
};

/// What has to be in the guest for some programs to start.
struct library_closure {
    std::vector<closure_node> nodes; ///< Every path once.
    std::vector<missing_library> missing; ///< Empty when the programs will find all they ask for at their start.
    bool needs_loader_cache = false; ///< Something was only found through /etc/ld.so.cache: that file is among the nodes.
};

/// Collects files with their libraries from a `FileSource`.
template <FileSource Files>
class closure_builder {
public:
    explicit closure_builder(Files files = {}, closure_limits limits = {}) : files_(std::move(files)), limits_(limits) {
        if (auto raw = files_.read("/etc/ld.so.cache")) {
            cache_bytes_ = *std::move(raw);
            if (auto cache = ldcache::open(cache_bytes_))
                cache_ = *cache;
        }
    }
    closure_builder(closure_builder const&) = delete; // `cache_` borrows from `cache_bytes_`.
    closure_builder& operator=(closure_builder const&) = delete;

    /// Adds the file at absolute path `path` under the same path, with what it needs if it is a program, a library or a
    /// script. `errc::not_found` when there is no such file, `errc::unsupported` when it is no regular file.
    [[nodiscard]] result<> add(std::string const& path) { return add_root(path, {}); }

    /// The same, but the file itself is placed at `guest_path`. A program that looks beside itself ($ORIGIN) will look
    /// there.
    [[nodiscard]] result<> add_as(std::string const& path, std::string const& guest_path) { return add_root(path, guest_path); }

    /// What was collected; the builder is empty afterwards.
    [[nodiscard]] library_closure take() noexcept { return std::exchange(out_, {}); }

private:
    struct object {
        std::string found; ///< The path it was opened by.
        std::string rpaths; ///< DT_RPATH of the loaders above it, expanded, colon-separated.
        unsigned scripts = 0; ///< How many interpreters lead here.
    };

    [[nodiscard]] result<> add_root(std::string const& path, std::string const& guest_path) {
        std::vector<object> work{{path, {}, 0}};
        std::vector<std::string> names; // Sonames that this program has loaded: the first one found serves all.
        for (std::size_t i = 0; i < work.size(); ++i) {
            if (i > limits_.files)
                return fail(errc::no_space, "closure.files", i);
            auto const current = work[i]; // A copy: `work` grows below.
            KTSTR_TRY(auto const real, resolve(current.found, i != 0 || guest_path.empty()));
            KTSTR_TRY(auto const look, files_.look(real));
            if (look.kind != file_kind::regular)
                return fail(errc::unsupported, "closure.kind", static_cast<std::uint64_t>(look.kind));
            KTSTR_TRY(auto content, files_.read(real));
            auto const place = i == 0 && !guest_path.empty() ? guest_path : real;
            auto const shebang = interpreter_of(content);
            if (!shebang.empty() && current.scripts < 4)
                work.push_back({std::string(shebang), {}, current.scripts + 1});
            if (is_elf(content)) {
                auto const needs = read_elf_needs(content);
                if (needs)
                    KTSTR_CHECK(follow(*needs, current, i == 0 ? real : current.found, names, work));
                else if (needs.error().code != errc::unsupported) // A module or a 32-bit program travels as plain data.
                    return std::unexpected(needs.error());
            }
            KTSTR_CHECK(place_file(place, look.permissions, std::move(content)));
        }
        return {};
    }

    [[nodiscard]] result<> follow(elf_needs const& needs, object const& from, std::string const& opened_as,
                                  std::vector<std::string>& names, std::vector<object>& work) {
        auto const origin = folder_of(opened_as);
        auto const own = expand(needs.rpath, origin, needs.machine);
        auto const inherited = own.empty() ? from.rpaths : from.rpaths.empty() ? own : own + ':' + from.rpaths;
        if (!needs.interpreter.empty())
            work.push_back({std::string(needs.interpreter), {}, 0});
        for (auto const name : needs.needed) {
            if (std::ranges::find(names, name) != names.end())
                continue;
            names.emplace_back(name);
            auto found = find(name, needs.machine, needs.runpath.empty() ? inherited : std::string{},
                              expand(needs.runpath, origin, needs.machine));
            if (!found) {
                out_.missing.push_back({std::string(name), from.found});
                continue;
            }
            work.push_back({*std::move(found), inherited, 0});
        }
        return {};
    }

    [[nodiscard]] std::optional<std::string> find(std::string_view name, std::uint16_t machine, std::string_view rpaths,
                                                  std::string_view runpaths) {
        if (name.find('/') != std::string_view::npos) {
            auto path = std::string(name);
            return path.front() == '/' && usable(path, machine) ? std::optional(std::move(path)) : std::nullopt;
        }
        for (auto const list : {rpaths, runpaths}) {
            if (auto hit = search(list, name, machine))
                return hit;
        }
        auto const triplet = machine == elf::em_aarch64 ? std::string("aarch64-linux-gnu") : std::string("x86_64-linux-gnu");
        auto const standard = "/lib/" + triplet + ":/usr/lib/" + triplet + ":/lib:/usr/lib:/lib64:/usr/lib64";
        if (cache_) {
            auto const entry = cache_->find(name, machine);
            if (entry && usable(std::string(*entry), machine)) {
                auto path = std::string(*entry);
                if (!in_list(standard, folder_of(path)))
                    need_loader_cache();
                return path;
            }
        }
        return search(standard, name, machine);
    }

    [[nodiscard]] std::optional<std::string> search(std::string_view folders, std::string_view name, std::uint16_t machine) {
        while (!folders.empty()) {
            auto const colon = folders.find(':');
            auto const folder = folders.substr(0, colon);
            folders = colon == std::string_view::npos ? std::string_view{} : folders.substr(colon + 1);
            if (folder.empty() || folder.front() != '/') // A folder relative to wherever the program is started.
                continue;
            auto path = std::string(folder) + '/' + std::string(name);
            if (usable(path, machine))
                return path;
        }
        return std::nullopt;
    }

    [[nodiscard]] static bool in_list(std::string_view list, std::string_view folder) noexcept {
        while (!list.empty()) {
            auto const colon = list.find(':');
            if (list.substr(0, colon) == folder)
                return true;
            list = colon == std::string_view::npos ? std::string_view{} : list.substr(colon + 1);
        }
        return false;
    }

    /// Whether the loader would take the file at `path` for a program of this machine.
    [[nodiscard]] bool usable(std::string const& path, std::uint16_t machine) {
        auto const real = resolve(path, false);
        if (!real)
            return false;
        auto const look = files_.look(*real);
        if (!look || look->kind != file_kind::regular)
            return false;
        auto const content = files_.read(*real);
        if (!content)
            return false;
        auto const needs = read_elf_needs(*content);
        return needs && needs->machine == machine;
    }

    /// The path without symbolic links. With `keep`, each link on the way becomes a node.
    [[nodiscard]] result<std::string> resolve(std::string const& path, bool keep) {
        std::string done;
        std::string rest = path;
        for (unsigned links = 0; !rest.empty();) {
            auto const start = rest.find_first_not_of('/');
            if (start == std::string::npos)
                break;
            auto const slash = rest.find('/', start);
            auto const part = rest.substr(start, slash == std::string::npos ? slash : slash - start);
            rest = slash == std::string::npos ? std::string{} : rest.substr(slash);
            if (part == ".")
                continue;
            if (part == "..") {
                done.resize(done.empty() ? 0 : done.rfind('/'));
                continue;
            }
            auto const here = done + '/' + part;
            KTSTR_TRY(auto const look, files_.look(here));
            if (look.kind != file_kind::symlink) {
                done = here;
                continue;
            }
            if (++links > 40) // As the kernel: MAXSYMLINKS.
                return fail(errc::bad_format, "closure.symlinks", links);
            KTSTR_TRY(auto const to, files_.target(here));
            if (to.empty())
                return fail(errc::bad_format, "closure.symlink", 0);
            if (keep)
                KTSTR_CHECK(place_link(here, to));
            rest = to + (rest.empty() ? "" : "/" + rest);
            if (to.front() == '/')
                done.clear();
        }
        return done.empty() ? std::string("/") : done;
    }

    [[nodiscard]] bool known(std::string_view path) const noexcept {
        return std::ranges::any_of(out_.nodes, [path](closure_node const& n) { return n.path == path; });
    }
    [[nodiscard]] result<> room(std::uint64_t more) noexcept {
        if (out_.nodes.size() >= limits_.files)
            return fail(errc::no_space, "closure.files", out_.nodes.size());
        std::uint64_t total = more;
        for (auto const& n : out_.nodes)
            total += n.content.size();
        if (total > limits_.content.raw)
            return fail(errc::no_space, "closure.content", total);
        return {};
    }
    [[nodiscard]] result<> place_link(std::string const& path, std::string const& to) {
        if (known(path))
            return {};
        KTSTR_CHECK(room(0));
        out_.nodes.push_back({path, to, 0777, {}});
        return {};
    }
    [[nodiscard]] result<> place_file(std::string const& path, std::uint32_t permissions, std::vector<std::byte>&& content) {
        if (known(path))
            return {};
        KTSTR_CHECK(room(content.size()));
        out_.nodes.push_back({path, {}, permissions, std::move(content)});
        return {};
    }
    void need_loader_cache() {
        if (std::exchange(out_.needs_loader_cache, true) || known("/etc/ld.so.cache"))
            return;
        out_.nodes.push_back({"/etc/ld.so.cache", {}, 0644, cache_bytes_});
    }

    [[nodiscard]] static std::string folder_of(std::string_view path) {
        auto const slash = path.rfind('/');
        return slash == std::string_view::npos || slash == 0 ? std::string("/") : std::string(path.substr(0, slash));
    }

    /// `list` with $ORIGIN, $LIB and $PLATFORM (with or without braces) replaced.
    [[nodiscard]] static std::string expand(std::string_view list, std::string_view origin, std::uint16_t machine) {
        bool const arm = machine == elf::em_aarch64;
        std::pair<std::string_view, std::string_view> const tokens[] = {
            {"{ORIGIN}", origin}, {"ORIGIN", origin},
            {"{LIB}", arm ? "lib/aarch64-linux-gnu" : "lib/x86_64-linux-gnu"}, {"LIB", arm ? "lib/aarch64-linux-gnu" : "lib/x86_64-linux-gnu"},
            {"{PLATFORM}", arm ? "aarch64" : "x86_64"}, {"PLATFORM", arm ? "aarch64" : "x86_64"}};
        std::string out;
        while (!list.empty()) {
            auto const dollar = list.find('$');
            out += list.substr(0, dollar);
            if (dollar == std::string_view::npos)
                break;
            list.remove_prefix(dollar + 1);
            auto const* const hit = std::ranges::find_if(tokens, [list](auto const& t) { return list.starts_with(t.first); });
            if (hit == std::end(tokens)) {
                out += '$';
                continue;
            }
            out += hit->second;
            list.remove_prefix(hit->first.size());
        }
        return out;
    }

    /// The interpreter that a script names in its first line; empty for everything else.
    [[nodiscard]] static std::string_view interpreter_of(std::span<std::byte const> content) noexcept {
        auto const text = std::string_view(reinterpret_cast<char const*>(content.data()), std::min<std::size_t>(content.size(), 256));
        if (!text.starts_with("#!"))
            return {};
        auto const line = text.substr(2, text.find('\n') == std::string_view::npos ? 0 : text.find('\n') - 2);
        auto const start = line.find_first_not_of(" \t");
        if (start == std::string_view::npos || line[start] != '/')
            return {};
        return line.substr(start, line.find_first_of(" \t\r", start) - start);
    }

    Files files_;
    closure_limits limits_;
    std::vector<std::byte> cache_bytes_;
    std::optional<ldcache> cache_;
    library_closure out_;
};

/// Moves a closure's files into `into`. `errc::already_exists` when one of its paths is taken by something else.
[[nodiscard]] inline result<> add_closure(initramfs_builder& into, library_closure&& closure) {
    for (auto& node : closure.nodes) {
        if (node.link.empty())
            KTSTR_CHECK(into.add_file(node.path, node.permissions, std::move(node.content)));
        else
            KTSTR_CHECK(into.add_symlink(node.path, node.link));
    }
    return {};
}

} // namespace ktstr
