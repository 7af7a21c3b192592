// SPDX-License-Identifier: Apache-2.0
/// \file
/// Finds a section of an ELF-64 file by its name.
#pragma once

#include "ktstr/abi/elf.hpp"
#include "ktstr/base/checked.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/boot/kernel_image.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace ktstr {

/// The bytes of section `name` in a little-endian ELF-64 `file` of any machine, borrowed. `errc::not_found` when there
/// is no such section (or it has no bytes in the file), `errc::bad_format` or `errc::truncated` for a broken file.
[[nodiscard]] inline result<std::span<std::byte const>> find_section(std::span<std::byte const> file,
                                                                     std::string_view name) noexcept {
    auto const kind = detect_kernel(file);
    auto const header = detail::peek<elf::ehdr>(file, 0);
    if (kind != kernel_kind::elf_x86_64 && kind != kernel_kind::elf_aarch64 &&
        (kind != kernel_kind::elf_other || header.ident[4] != elf::class_64 || header.ident[5] != elf::data_little))
        return fail(errc::bad_format, "elf.magic");
    if (header.shnum == 0)
        return fail(errc::not_found, "elf.sections");
    if (header.shentsize != sizeof(elf::shdr))
        return fail(errc::bad_format, "elf.shentsize", header.shentsize);
    if (!fits(header.shoff, std::uint64_t{header.shnum} * sizeof(elf::shdr), file.size()))
        return fail(errc::truncated, "elf.sections", header.shoff);
    auto const at = [&](std::size_t i) {
        return detail::peek<elf::shdr>(file, static_cast<std::size_t>(header.shoff) + i * sizeof(elf::shdr));
    };
    if (header.shstrndx >= header.shnum)
        return fail(errc::bad_format, "elf.shstrndx", header.shstrndx);
    auto const names = at(header.shstrndx);
    if (!fits(names.offset, names.size, file.size()))
        return fail(errc::truncated, "elf.section_names", names.offset);
    auto const text = file.subspan(static_cast<std::size_t>(names.offset), static_cast<std::size_t>(names.size));
    for (std::size_t i = 0; i < header.shnum; ++i) {
        auto const section = at(i);
        if (!fits(section.name, name.size() + 1, text.size()))
            continue;
        auto const* const spelled = text.data() + section.name.get();
        if (std::memcmp(spelled, name.data(), name.size()) != 0 || spelled[name.size()] != std::byte{0})
            continue;
        if (section.type == elf::sht_nobits)
            return fail(errc::not_found, "elf.section");
        if (!fits(section.offset, section.size, file.size()))
            return fail(errc::truncated, "elf.section", section.offset);
        return file.subspan(static_cast<std::size_t>(section.offset), static_cast<std::size_t>(section.size));
    }
    return fail(errc::not_found, "elf.section");
}

} // namespace ktstr
