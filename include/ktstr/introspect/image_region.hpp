// SPDX-License-Identifier: Apache-2.0
/// \file
/// Pieces of a kernel image with the virtual addresses they are linked for: what symbol and type readers search.
#pragma once

#include "ktstr/abi/elf.hpp"
#include "ktstr/base/checked.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/boot/elf_sections.hpp"
#include "ktstr/boot/kernel_image.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace ktstr {

/// Borrowed bytes and the virtual address of the first of them.
struct image_region {
    gva address{};
    std::span<std::byte const> data{};
};

/// Whether `file` starts as a little-endian ELF-64 file of whatever machine.
[[nodiscard]] inline bool is_elf_64(std::span<std::byte const> file) noexcept {
    auto const header = detail::peek<elf::ehdr>(file, 0);
    return file.size() >= sizeof(elf::ehdr) && header.ident[0] == elf::magic[0] && header.ident[1] == elf::magic[1] &&
           header.ident[2] == elf::magic[2] && header.ident[3] == elf::magic[3] && header.ident[4] == elf::class_64 &&
           header.ident[5] == elf::data_little;
}

/// The loaded pieces of a kernel ELF that have bytes in the file, in file order; the bytes are those of `file`. Symbols
/// and debug information play no role. `errc::bad_format` when it is no little-endian ELF-64, `errc::truncated` when a
/// piece lies beyond the end, `errc::not_found` when there is none.
[[nodiscard]] inline result<std::vector<image_region>> loaded_regions(std::span<std::byte const> file) {
    auto const header = detail::peek<elf::ehdr>(file, 0);
    if (!is_elf_64(file))
        return fail(errc::bad_format, "elf.magic");
    if (header.phnum != 0 && header.phentsize != sizeof(elf::phdr))
        return fail(errc::bad_format, "elf.phentsize", header.phentsize);
    if (!fits(header.phoff, std::uint64_t{header.phnum} * sizeof(elf::phdr), file.size()))
        return fail(errc::truncated, "elf.segments", header.phoff);
    std::vector<image_region> out;
    for (std::size_t i = 0; i < header.phnum; ++i) {
        auto const raw = detail::peek<elf::phdr>(file, static_cast<std::size_t>(header.phoff) + i * sizeof(elf::phdr));
        if (raw.type != elf::pt_load || raw.filesz == 0)
            continue;
        if (!fits(raw.offset, raw.filesz, file.size()))
            return fail(errc::truncated, "elf.segment", raw.offset);
        out.push_back({gva{raw.vaddr}, file.subspan(static_cast<std::size_t>(raw.offset), static_cast<std::size_t>(raw.filesz))});
    }
    if (out.empty())
        return fail(errc::not_found, "elf.segments");
    return out;
}

/// Section `name` as a region: `find_section` with its address.
[[nodiscard]] inline result<image_region> section_region(std::span<std::byte const> file, std::string_view name) {
    KTSTR_TRY(auto const data, find_section(file, name));
    KTSTR_TRY(auto const regions, loaded_regions(file));
    for (auto const& each : regions) {
        if (data.data() < each.data.data())
            continue;
        auto const offset = static_cast<std::uint64_t>(data.data() - each.data.data());
        if (fits(offset, data.size(), each.data.size()))
            return image_region{each.address + offset, data};
    }
    return fail(errc::not_found, "elf.section_address");
}

} // namespace ktstr
