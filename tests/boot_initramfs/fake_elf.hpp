// SPDX-License-Identifier: Apache-2.0
/// \file
/// Little ELF files made to order, and a file system that exists in a test only.
#pragma once

#include "ktstr/abi/elf.hpp"
#include "ktstr/base/cursor.hpp"
#include "ktstr/boot/elf_needed.hpp"
#include "ktstr/boot/initramfs_files.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace ktstr::test {

struct fake_elf {
    std::uint16_t machine = elf::em_x86_64;
    std::uint16_t type = elf::et_dyn;
    std::string interpreter;
    std::string soname;
    std::vector<std::string> needed;
    std::string rpath;
    std::string runpath;
    bool dynamic = true;

    /// Layout: header, 3 program headers, interpreter, strings, dynamic section; loaded at 0x400000; then 64 bytes of
    /// "debug information" that no segment covers.
    [[nodiscard]] std::vector<std::byte> bytes() const {
        std::string strings(1, '\0');
        auto const intern = [&strings](std::string const& s) {
            auto const at = strings.size();
            strings += s + '\0';
            return at;
        };
        std::vector<detail::elf_dyn> dyn;
        auto const tag = [&dyn](detail::elf_tag t, std::uint64_t v) { dyn.push_back({static_cast<std::uint64_t>(t), v}); };
        for (auto const& n : needed)
            tag(detail::elf_tag::needed, intern(n));
        if (!soname.empty())
            tag(detail::elf_tag::soname, intern(soname));
        if (!rpath.empty())
            tag(detail::elf_tag::rpath, intern(rpath));
        if (!runpath.empty())
            tag(detail::elf_tag::runpath, intern(runpath));
        std::size_t const interp_at = sizeof(elf::ehdr) + 3 * sizeof(elf::phdr);
        std::size_t const strings_at = interp_at + interpreter.size() + 1;
        tag(detail::elf_tag::strtab, 0x400000 + strings_at);
        tag(detail::elf_tag::end, 0);
        std::size_t const dyn_at = strings_at + strings.size();
        std::size_t const end = dyn_at + dyn.size() * sizeof(detail::elf_dyn);

        elf::ehdr h{};
        std::ranges::copy(elf::magic, h.ident.begin());
        h.ident[4] = elf::class_64;
        h.ident[5] = elf::data_little;
        h.type = type;
        h.machine = machine;
        h.phoff = sizeof(elf::ehdr);
        h.phentsize = sizeof(elf::phdr);
        h.phnum = 3;
        h.shoff = end;
        h.shnum = 1;
        h.shstrndx = 0;
        elf::phdr const load{elf::pt_load, 5, 0, 0x400000, 0, end, end, 4096};
        elf::phdr const interp{interpreter.empty() ? 0U : 3U, 4, interp_at, 0x400000 + interp_at, 0, interpreter.size() + 1, 0, 1};
        elf::phdr const dynamics{dynamic ? 2U : 0U, 4, dyn_at, 0x400000 + dyn_at, 0, end - dyn_at, 0, 8};
        std::vector<std::byte> out;
        auto const put = [&out](void const* p, std::size_t n) {
            auto const* const b = static_cast<std::byte const*>(p);
            out.insert(out.end(), b, b + n);
        };
        put(&h, sizeof h);
        for (auto const& p : {load, interp, dynamics})
            put(&p, sizeof p);
        put(interpreter.c_str(), interpreter.size() + 1);
        put(strings.data(), strings.size());
        put(dyn.data(), dyn.size() * sizeof(detail::elf_dyn));
        out.resize(out.size() + 64, std::byte{0xdd});
        return out;
    }
};

// [own_files]
/// Paths in maps.
struct fake_files {
    std::map<std::string, std::vector<std::byte>> files;
    std::map<std::string, std::string> links;

    void put(std::string const& path, std::vector<std::byte> content) { files[path] = std::move(content); }
    void put(std::string const& path, std::string const& text) {
        auto const raw = std::as_bytes(std::span(text));
        files[path] = {raw.begin(), raw.end()};
    }

    [[nodiscard]] result<file_look> look(std::string const& path) const {
        if (links.contains(path))
            return file_look{file_kind::symlink, 0777};
        if (files.contains(path))
            return file_look{file_kind::regular, 0755};
        auto const below = [&path](auto const& named) { return named.first.starts_with(path + '/'); };
        if (std::ranges::any_of(files, below) || std::ranges::any_of(links, below))
            return file_look{file_kind::directory, 0755};
        return fail(errc::not_found, "fake.look");
    }
    [[nodiscard]] result<std::string> target(std::string const& path) const {
        auto const at = links.find(path);
        return at == links.end() ? result<std::string>(fail(errc::not_found, "fake.target")) : at->second;
    }
    [[nodiscard]] result<std::vector<std::byte>> read(std::string const& path) const {
        auto const at = files.find(path);
        return at == files.end() ? result<std::vector<std::byte>>(fail(errc::not_found, "fake.read")) : at->second;
    }
};
static_assert(explain_file_source<fake_files>());
// [/own_files]

/// A loader cache with the given (name, path, flags, hwcap) rows.
struct cache_row {
    std::string name;
    std::string path;
    std::int32_t flags = 0x0303;
    std::uint64_t hwcap = 0;
};
[[nodiscard]] inline std::vector<std::byte> fake_ldcache(std::vector<cache_row> const& rows, bool old_part = false) {
    std::string out;
    if (old_part) {
        out = std::string("ld.so-1.7.0\0\1\0\0\0", 16) + std::string(12, 'o');
        out.resize((out.size() + 7) / 8 * 8);
    }
    auto const start = out.size();
    auto const u32 = [&out](std::uint32_t v) { out.append(reinterpret_cast<char const*>(&v), 4); };
    out += "glibc-ld.so.cache1.1";
    std::string strings;
    auto const base = 48 + rows.size() * 24;
    std::string table;
    for (auto const& r : rows) {
        auto const name = static_cast<std::uint32_t>(base + strings.size());
        strings += r.name + '\0';
        auto const path = static_cast<std::uint32_t>(base + strings.size());
        strings += r.path + '\0';
        table.append(reinterpret_cast<char const*>(&r.flags), 4);
        table.append(reinterpret_cast<char const*>(&name), 4);
        table.append(reinterpret_cast<char const*>(&path), 4);
        table.append(4, '\0');
        table.append(reinterpret_cast<char const*>(&r.hwcap), 8);
    }
    u32(static_cast<std::uint32_t>(rows.size()));
    u32(static_cast<std::uint32_t>(strings.size()));
    out.resize(start + 48);
    out += table + strings;
    auto const raw = std::as_bytes(std::span(out));
    return {raw.begin(), raw.end()};
}

} // namespace ktstr::test
