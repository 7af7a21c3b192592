// SPDX-License-Identifier: Apache-2.0
/// \file
/// Symbols of an ELF kernel that still has its .symtab: one of our own making, or a distribution's -dbg file.
///
/// Source: System V ABI, "ELF-64 Object File Format" 1.5, symbol table; the letters are those of nm(1).
#pragma once

#include "ktstr/abi/elf.hpp"
#include "ktstr/base/checked.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/boot/kernel_image.hpp"
#include "ktstr/introspect/image_region.hpp"
#include "ktstr/introspect/symbols/system_map.hpp"
#include "ktstr/introspect/symbols/table.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

namespace ktstr {

namespace detail {
/// nm's letter for a symbol that lies in `section`; upper case unless it is local.
[[nodiscard]] inline char nm_letter(elf::sym const& symbol, elf::shdr const& section) noexcept {
    auto const binding = symbol.info >> 4;
    if (binding == elf::stb_weak)
        return (symbol.info & 0xf) == elf::stt_object ? 'V' : 'W';
    char out = 'n';
    if (symbol.shndx == elf::shn_abs)
        out = 'a';
    else if ((section.flags & elf::shf_execinstr) != 0)
        out = 't';
    else if (section.type == elf::sht_nobits)
        out = 'b';
    else if ((section.flags & elf::shf_alloc) != 0)
        out = (section.flags & elf::shf_write) != 0 ? 'd' : 'r';
    return binding == elf::stb_local ? out : static_cast<char>(out - 'a' + 'A');
}
} // namespace detail

/// The named functions, variables and labels of `file`'s .symtab that have an address. `errc::not_found` at "elf.symtab"
/// for a stripped file, `errc::bad_format` or `errc::truncated` for a broken one.
[[nodiscard]] inline result<symbol_table> read_elf_symtab(std::span<std::byte const> file) {
    if (!is_elf_64(file))
        return fail(errc::bad_format, "elf.magic");
    auto const header = detail::peek<elf::ehdr>(file, 0);
    if (header.shnum == 0)
        return fail(errc::not_found, "elf.symtab");
    if (header.shentsize != sizeof(elf::shdr))
        return fail(errc::bad_format, "elf.shentsize", header.shentsize);
    if (!fits(header.shoff, std::uint64_t{header.shnum} * sizeof(elf::shdr), file.size()))
        return fail(errc::truncated, "elf.sections", header.shoff);
    auto const section = [&](std::size_t i) {
        return detail::peek<elf::shdr>(file, static_cast<std::size_t>(header.shoff) + i * sizeof(elf::shdr));
    };
    std::size_t index = 0;
    while (index < header.shnum && section(index).type != elf::sht_symtab)
        ++index;
    if (index == header.shnum)
        return fail(errc::not_found, "elf.symtab");
    auto const table = section(index);
    if (table.entsize != sizeof(elf::sym))
        return fail(errc::bad_format, "elf.symtab.entsize", table.entsize);
    if (!fits(table.offset, table.size, file.size()))
        return fail(errc::truncated, "elf.symtab", table.offset);
    if (table.link >= header.shnum)
        return fail(errc::bad_format, "elf.symtab.link", table.link);
    auto const names = section(table.link);
    if (!fits(names.offset, names.size, file.size()))
        return fail(errc::truncated, "elf.strtab", names.offset);
    std::string_view const text(reinterpret_cast<char const*>(file.data()) + names.offset.get(),
                                static_cast<std::size_t>(names.size));

    auto const count = static_cast<std::size_t>(table.size / sizeof(elf::sym));
    symbol_table_builder builder;
    builder.reserve(count, text.size());
    for (std::size_t i = 1; i < count; ++i) {
        auto const each = detail::peek<elf::sym>(file, static_cast<std::size_t>(table.offset) + i * sizeof(elf::sym));
        auto const type = each.info & 0xf;
        auto const placed = each.shndx != elf::shn_undef && (each.shndx < elf::shn_loreserve || each.shndx == elf::shn_abs);
        if (!placed || (type != elf::stt_notype && type != elf::stt_object && type != elf::stt_func && type != elf::stt_gnu_ifunc))
            continue;
        if (each.name >= text.size())
            return fail(errc::bad_format, "elf.symtab.name", i);
        auto const name = text.substr(each.name, text.find('\0', each.name) - each.name);
        if (name.empty())
            continue;
        auto const home = each.shndx < header.shnum ? section(each.shndx) : elf::shdr{};
        builder.add(name, gva{each.value}, detail::nm_letter(each, home), each.value < detail::kernel_half);
    }
    return std::move(builder).finish();
}

} // namespace ktstr
