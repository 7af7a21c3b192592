// SPDX-License-Identifier: Apache-2.0
/// \file
/// What a program or library asks the dynamic loader for, and what it is without its debug information. Pure over spans.
///
/// Sources: System V gABI chapter 5 (program header, dynamic section); ld.so(8) for the meaning of RPATH and RUNPATH.
/// Not validated: section headers, symbol and relocation tables, whether segments overlap.
#pragma once

#include "ktstr/abi/elf.hpp"
#include "ktstr/base/checked.hpp"
#include "ktstr/base/cursor.hpp"
#include "ktstr/base/endian.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/layout.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ktstr {

/// The loader's view of one ELF file. Texts borrow from the file's bytes.
struct elf_needs {
    std::uint16_t machine = 0; ///< EM_X86_64, EM_AARCH64, ...
    bool dynamic = false; ///< Has a dynamic section; false for a static program.
    std::string_view interpreter; ///< PT_INTERP; empty for libraries and static programs.
    std::string_view soname;
    std::vector<std::string_view> needed; ///< In file order, which is search order. At most 1024.
    std::string_view rpath; ///< DT_RPATH, colon-separated; ignored by the loader when there is a RUNPATH.
    std::string_view runpath;
};

/// Whether `file` begins like an ELF file.
[[nodiscard]] constexpr bool is_elf(std::span<std::byte const> file) noexcept {
    return file.size() >= 4 && file[0] == std::byte{0x7f} && file[1] == std::byte{'E'} && file[2] == std::byte{'L'} &&
           file[3] == std::byte{'F'};
}

namespace detail {
inline constexpr std::uint32_t elf_pt_null = 0;
inline constexpr std::uint32_t elf_pt_dynamic = 2;
inline constexpr std::uint32_t elf_pt_interp = 3;
/// Tags of the dynamic section (gABI figure 5-10).
enum class elf_tag : std::uint64_t { end = 0, needed = 1, strtab = 5, soname = 14, rpath = 15, runpath = 29 };
/// One entry of the dynamic section.
struct elf_dyn {
    le64 tag;
    le64 value; ///< A number, an offset into the string table or a virtual address.
};
KTSTR_ABI(elf_dyn, 16);

inline constexpr std::size_t elf_phdr_max = 256; ///< Programs have about a dozen.
inline constexpr std::size_t elf_dynamic_max = 4096;
inline constexpr std::size_t elf_needed_max = 1024;

/// Header and program headers of a little-endian ELF64 file.
struct elf_segments {
    elf::ehdr header{};
    std::vector<elf::phdr> all;
};

[[nodiscard]] inline result<elf_segments> read_elf_segments(std::span<std::byte const> file) {
    reader in(file, "elf");
    elf_segments out;
    KTSTR_TRY(out.header, in.get<elf::ehdr>());
    if (!is_elf(file))
        return fail(errc::bad_format, "elf.magic", 0);
    if (out.header.ident[4] != elf::class_64 || out.header.ident[5] != elf::data_little)
        return fail(errc::unsupported, "elf.class", out.header.ident[4]);
    if (out.header.type.get() != elf::et_exec && out.header.type.get() != elf::et_dyn)
        return fail(errc::unsupported, "elf.type", out.header.type);
    if (out.header.phnum.get() > elf_phdr_max)
        return fail(errc::unsupported, "elf.phnum", out.header.phnum);
    if (out.header.phnum.get() != 0 && out.header.phentsize.get() != sizeof(elf::phdr))
        return fail(errc::bad_format, "elf.phentsize", out.header.phentsize);
    KTSTR_CHECK(in.seek(out.header.phoff));
    for (std::size_t i = 0; i < out.header.phnum; ++i) {
        KTSTR_TRY(auto const p, in.get<elf::phdr>());
        if (p.type.get() != elf_pt_null && !fits(p.offset, p.filesz, file.size()))
            return fail(errc::truncated, "elf.segment", p.offset);
        out.all.push_back(p);
    }
    return out;
}

/// The file offset of virtual address `at`, with how many bytes of the segment follow it in the file.
[[nodiscard]] inline result<std::span<std::byte const>> elf_bytes_at(std::span<std::byte const> file,
                                                                     elf_segments const& segments, std::uint64_t at) {
    for (auto const& p : segments.all) {
        if (p.type.get() == elf::pt_load && at >= p.vaddr.get() && at - p.vaddr < p.filesz.get()) {
            auto const into = at - p.vaddr;
            return file.subspan(static_cast<std::size_t>(p.offset + into), static_cast<std::size_t>(p.filesz - into));
        }
    }
    return fail(errc::bad_format, "elf.vaddr", at);
}

/// The text at the front of `raw`, which must end in a NUL inside it.
[[nodiscard]] inline result<std::string_view> elf_text(std::span<std::byte const> raw, std::uint64_t offset) {
    if (offset >= raw.size())
        return fail(errc::out_of_range, "elf.strtab", offset);
    auto const rest = raw.subspan(static_cast<std::size_t>(offset));
    auto const* const end = std::memchr(rest.data(), 0, rest.size() < 4096 ? rest.size() : 4096);
    if (end == nullptr)
        return fail(errc::bad_format, "elf.strtab", offset);
    auto const* const text = reinterpret_cast<char const*>(rest.data());
    return std::string_view(text, static_cast<std::size_t>(static_cast<char const*>(end) - text));
}
} // namespace detail

/// Reads what `file` asks the loader for. `errc::unsupported` for an ELF file that is no 64-bit little-endian program or
/// library; `errc::bad_format`, `errc::truncated`, `errc::out_of_range` with the offending offset for a damaged one.
[[nodiscard]] inline result<elf_needs> read_elf_needs(std::span<std::byte const> file) {
    KTSTR_TRY(auto const segments, detail::read_elf_segments(file));
    elf_needs out;
    out.machine = segments.header.machine;
    std::span<std::byte const> dynamic;
    for (auto const& p : segments.all) {
        auto const raw = p.type.get() == detail::elf_pt_null ? std::span<std::byte const>{}
                                             : file.subspan(static_cast<std::size_t>(p.offset), static_cast<std::size_t>(p.filesz));
        if (p.type.get() == detail::elf_pt_interp) {
            KTSTR_TRY(out.interpreter, detail::elf_text(raw, 0));
        } else if (p.type.get() == detail::elf_pt_dynamic) {
            out.dynamic = true;
            dynamic = raw;
        }
    }
    if (!out.dynamic)
        return out;

    std::vector<std::uint64_t> needed;
    std::uint64_t strtab = 0;
    std::uint64_t soname = 0;
    std::uint64_t rpath = 0;
    std::uint64_t runpath = 0;
    reader in(dynamic, "elf.dynamic");
    bool ended = false;
    for (std::size_t i = 0; i < detail::elf_dynamic_max && !in.at_end() && !ended; ++i) {
        KTSTR_TRY(auto const d, in.get<detail::elf_dyn>());
        switch (static_cast<detail::elf_tag>(d.tag.get())) {
        case detail::elf_tag::end: ended = true; break;
        case detail::elf_tag::needed: needed.push_back(d.value); break;
        case detail::elf_tag::strtab: strtab = d.value; break;
        case detail::elf_tag::soname: soname = d.value; break;
        case detail::elf_tag::rpath: rpath = d.value; break;
        case detail::elf_tag::runpath: runpath = d.value; break;
        default: break;
        }
    }
    if (needed.size() > detail::elf_needed_max)
        return fail(errc::bad_format, "elf.needed", needed.size());
    if (needed.empty() && soname == 0 && rpath == 0 && runpath == 0)
        return out;
    KTSTR_TRY(auto const strings, detail::elf_bytes_at(file, segments, strtab));
    for (auto const at : needed) {
        KTSTR_TRY(auto const name, detail::elf_text(strings, at));
        if (name.empty())
            return fail(errc::bad_format, "elf.needed", at);
        out.needed.push_back(name);
    }
    // Offset 0 of a string table is the empty string, so 0 stands for "has none" in all three.
    if (soname != 0) {
        KTSTR_TRY(out.soname, detail::elf_text(strings, soname));
    }
    if (rpath != 0) {
        KTSTR_TRY(out.rpath, detail::elf_text(strings, rpath));
    }
    if (runpath != 0) {
        KTSTR_TRY(out.runpath, detail::elf_text(strings, runpath));
    }
    return out;
}

/// `file` as a program needs it to run: everything up to the end of the last segment, without section headers, symbol
/// table and debug information. Same errors as `read_elf_needs`.
[[nodiscard]] inline result<std::vector<std::byte>> strip_elf(std::span<std::byte const> file) {
    KTSTR_TRY(auto segments, detail::read_elf_segments(file));
    std::uint64_t end = sizeof(elf::ehdr);
    auto const headers_end = segments.header.phoff + std::uint64_t{segments.header.phnum.get()} * sizeof(elf::phdr);
    end = headers_end > end ? headers_end : end;
    for (auto const& p : segments.all) {
        if (p.type.get() != detail::elf_pt_null && p.offset + p.filesz.get() > end)
            end = p.offset + p.filesz;
    }
    auto const kept = file.first(static_cast<std::size_t>(end));
    std::vector<std::byte> out(kept.begin(), kept.end());
    segments.header.shoff = 0;
    segments.header.shnum = 0;
    segments.header.shstrndx = 0;
    std::memcpy(out.data(), &segments.header, sizeof segments.header);
    return out;
}

} // namespace ktstr
