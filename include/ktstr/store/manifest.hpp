// SPDX-License-Identifier: Apache-2.0
/// \file
/// The manifest of an entry of the kernel store: what the entry is, its files with checksums, its modules.
///
/// Text, one fact a line, "key value"; the last line is "sha256 " and the digest of everything before it. The format is
/// written down in docs/formats/kernel-store.md.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/boot/kernel_config.hpp"
#include "ktstr/store/module_info.hpp"
#include "ktstr/store/sha256.hpp"

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace ktstr {

/// A file of an entry.
struct stored_file {
    std::string role; ///< "bzimage", "vmlinux", "relocs", "config", "module".
    std::string name; ///< Path below the entry's folder.
    std::uint64_t size = 0;      ///< Bytes.
    std::int64_t mtime_ns = 0;   ///< Modification time when the checksum was taken.
    std::string sha256;
    friend bool operator==(stored_file const&, stored_file const&) = default;
};

/// How a kernel has the drivers that a guest of ours talks through.
struct kernel_drivers {
    config_state virtio_mmio = config_state::absent;
    config_state virtio_pci = config_state::absent;
    config_state virtio_console = config_state::absent;
    friend bool operator==(kernel_drivers const&, kernel_drivers const&) = default;
};

/// Everything a manifest says.
struct kernel_manifest {
    std::string key;                   ///< Name of the entry and of its folder.
    std::string release;               ///< As `uname -r` in the guest.
    std::string version;               ///< Package version; empty for a kernel of the user's own.
    std::string source;                ///< "debian:7.3" or the absolute path it was added from.
    std::string banner;                ///< Version line of the bzImage; may be empty.
    std::string build_id;              ///< Hexadecimal; may be empty.
    std::string initramfs;             ///< Formats its initramfs may have, as "zstd lz4 gzip"; empty: not known.
    std::vector<std::string> aliases;  ///< Other names it answers to.
    std::vector<std::string> notes;    ///< For the reader: what is missing or unusual.
    kernel_drivers drivers;
    std::vector<stored_file> files;
    std::vector<stored_module> modules;
    friend bool operator==(kernel_manifest const&, kernel_manifest const&) = default;
};

namespace detail {
[[nodiscard]] constexpr std::string_view spell(config_state state) noexcept {
    return state == config_state::built_in ? "built-in" : state == config_state::module ? "module" : "absent";
}
[[nodiscard]] constexpr result<config_state> read_state(std::string_view text) noexcept {
    for (auto const state : {config_state::absent, config_state::module, config_state::built_in})
        if (spell(state) == text)
            return state;
    return fail(errc::bad_format, "manifest.driver");
}
/// Cuts the first word off `line`.
[[nodiscard]] constexpr std::string_view next_word(std::string_view& line) noexcept {
    auto const blank = line.find(' ');
    auto const word = line.substr(0, blank);
    line.remove_prefix(blank == std::string_view::npos ? line.size() : blank + 1);
    return word;
}
template <class T>
[[nodiscard]] result<T> read_number(std::string_view text) noexcept {
    T out{};
    auto const [end, problem] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (problem != std::errc{} || end != text.data() + text.size())
        return fail(errc::bad_format, "manifest.number");
    return out;
}
/// Whether `name` stays below the folder it is joined to.
[[nodiscard]] constexpr bool is_inner_path(std::string_view name) noexcept {
    if (name.empty() || name.front() == '/')
        return false;
    while (!name.empty()) {
        auto const slash = name.find('/');
        auto const part = name.substr(0, slash);
        if (part.empty() || part == "." || part == "..")
            return false;
        name.remove_prefix(slash == std::string_view::npos ? name.size() : slash + 1);
    }
    return true;
}
} // namespace detail

/// `manifest` as text, with its checksum line. Values must hold no newline; such characters become blanks.
[[nodiscard]] inline std::string write_manifest(kernel_manifest const& manifest) {
    std::string out = "ktstr-kernel 1\n";
    auto const line = [&](std::string_view key, std::string_view value) {
        if (value.empty())
            return;
        out.append(key).append(" ");
        for (char const c : value)
            out += c == '\n' || c == '\0' ? ' ' : c;
        out += '\n';
    };
    line("key", manifest.key);
    line("release", manifest.release);
    line("version", manifest.version);
    line("source", manifest.source);
    line("banner", manifest.banner);
    line("build-id", manifest.build_id);
    line("initramfs", manifest.initramfs);
    for (auto const& alias : manifest.aliases)
        line("alias", alias);
    for (auto const& note : manifest.notes)
        line("note", note);
    line("virtio-mmio", detail::spell(manifest.drivers.virtio_mmio));
    line("virtio-pci", detail::spell(manifest.drivers.virtio_pci));
    line("virtio-console", detail::spell(manifest.drivers.virtio_console));
    for (auto const& file : manifest.files)
        line("file", file.role + ' ' + std::to_string(file.size) + ' ' + std::to_string(file.mtime_ns) + ' ' +
                         file.sha256 + ' ' + file.name);
    for (auto const& module : manifest.modules) {
        std::string depends;
        for (auto const& one : module.depends)
            depends.append(depends.empty() ? "" : ",").append(one);
        line("module", module.name + ' ' + (depends.empty() ? "-" : depends) + ' ' + module.file);
    }
    return out + "sha256 " + sha256_hex(out) + '\n';
}

/// Reads what `write_manifest` wrote. `errc::bad_checksum` when the last line disagrees with the rest,
/// `errc::unsupported` for another version of the format, `errc::bad_format` for anything else that is wrong, a file
/// name that leads out of the entry included. Unknown keys are skipped.
[[nodiscard]] inline result<kernel_manifest> read_manifest(std::string_view text) {
    constexpr std::string_view mark = "\nsha256 ";
    auto const tail = text.rfind(mark);
    if (tail == std::string_view::npos)
        return fail(errc::truncated, "manifest.sha256", text.size());
    auto const body = text.substr(0, tail + 1);
    auto const stated = text.substr(tail + mark.size());
    if (stated.size() != 65 || stated.back() != '\n' || stated.substr(0, 64) != sha256_hex(body))
        return fail(errc::bad_checksum, "manifest.sha256", tail);
    if (auto const nul = body.find('\0'); nul != std::string_view::npos)
        return fail(errc::bad_format, "manifest.nul", nul);
    auto rest = body;
    kernel_manifest out;
    bool first = true;
    while (!rest.empty()) {
        auto const end = rest.find('\n');
        auto line = rest.substr(0, end);
        rest.remove_prefix(end + 1); // the body ends in a newline
        if (first) {
            first = false;
            if (!line.starts_with("ktstr-kernel "))
                return fail(errc::bad_format, "manifest.magic");
            if (line != "ktstr-kernel 1")
                return fail(errc::unsupported, "manifest.version");
            continue;
        }
        auto const key = detail::next_word(line);
        auto const value = std::string(line);
        if (key == "key")
            out.key = value;
        else if (key == "release")
            out.release = value;
        else if (key == "version")
            out.version = value;
        else if (key == "source")
            out.source = value;
        else if (key == "banner")
            out.banner = value;
        else if (key == "build-id")
            out.build_id = value;
        else if (key == "initramfs")
            out.initramfs = value;
        else if (key == "alias")
            out.aliases.push_back(value);
        else if (key == "note")
            out.notes.push_back(value);
        else if (key == "virtio-mmio") {
            KTSTR_TRY(out.drivers.virtio_mmio, detail::read_state(line));
        } else if (key == "virtio-pci") {
            KTSTR_TRY(out.drivers.virtio_pci, detail::read_state(line));
        } else if (key == "virtio-console") {
            KTSTR_TRY(out.drivers.virtio_console, detail::read_state(line));
        } else if (key == "file") {
            stored_file file;
            file.role = detail::next_word(line);
            KTSTR_TRY(file.size, detail::read_number<std::uint64_t>(detail::next_word(line)));
            KTSTR_TRY(file.mtime_ns, detail::read_number<std::int64_t>(detail::next_word(line)));
            file.sha256 = detail::next_word(line);
            file.name = line;
            if (file.role.empty() || file.sha256.size() != 64 || !detail::is_inner_path(file.name))
                return fail(errc::bad_format, "manifest.file");
            out.files.push_back(std::move(file));
        } else if (key == "module") {
            stored_module module;
            module.name = detail::next_word(line);
            auto depends = detail::next_word(line);
            while (!depends.empty() && depends != "-") {
                auto const comma = depends.find(',');
                module.depends.emplace_back(depends.substr(0, comma));
                depends.remove_prefix(comma == std::string_view::npos ? depends.size() : comma + 1);
            }
            module.file = line;
            if (module.name.empty() || !detail::is_inner_path(module.file))
                return fail(errc::bad_format, "manifest.module");
            out.modules.push_back(std::move(module));
        }
    }
    if (out.key.empty() || !detail::is_inner_path(out.key) || out.key.find('/') != std::string::npos)
        return fail(errc::bad_format, "manifest.key");
    return out;
}

} // namespace ktstr
