// SPDX-License-Identifier: Apache-2.0
/// \file
/// Reads a vmlinux: which bytes of the file go where, and where the kernel is entered.
///
/// Checked: class, byte order, machine, type; every table and segment inside the file; sizes; that the image is less
/// than 2 GiB and the entry lies in it. Not checked: section contents, and what the code does.
#pragma once

#include "ktstr/abi/elf.hpp"
#include "ktstr/base/checked.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/boot/kernel_image.hpp"
#include "ktstr/mem/region.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ktstr {

/// Where x86_64 kernels are linked: virtual address of physical address 0 in the kernel's text mapping (linux 6.12
/// arch/x86/include/asm/page_64_types.h, __START_KERNEL_map).
inline constexpr std::uint64_t kernel_map_base = 0xffff'ffff'8000'0000;

/// One loadable piece: `file_size` bytes at `offset` of the file go to `start`, zeros follow up to `memory_size`.
struct vmlinux_segment {
    gpa start{};
    std::uint64_t offset = 0;
    std::uint64_t file_size = 0;
    std::uint64_t memory_size = 0;
};

/// A vmlinux taken apart. Addresses are those the kernel was linked for.
struct vmlinux_image {
    static constexpr std::size_t max_segments = 16;

    gpa entry{};                 ///< Physical address of the 64-bit entry.
    gpa_range extent{};          ///< From the first loaded byte to the last byte of .bss and .brk.
    std::uint64_t elf_size = 0;  ///< Bytes of the file that are ELF; relocation tables may follow.
    std::array<vmlinux_segment, max_segments> table{};
    std::size_t segment_count = 0;

    /// The segments in file order.
    [[nodiscard]] constexpr std::span<vmlinux_segment const> segments() const noexcept {
        return std::span(table).first(segment_count);
    }
};

namespace detail {
/// The largest end of anything the section headers describe; `at_least` when there are none.
[[nodiscard]] inline result<std::uint64_t> elf_sections_end(std::span<std::byte const> file, elf::ehdr const& header,
                                                            std::uint64_t at_least) noexcept {
    if (header.shnum == 0)
        return at_least;
    if (header.shentsize != sizeof(elf::shdr))
        return fail(errc::bad_format, "elf.shentsize", header.shentsize);
    auto const table_size = std::uint64_t{header.shnum} * sizeof(elf::shdr);
    if (!fits(header.shoff, table_size, file.size()))
        return fail(errc::truncated, "elf.sections", header.shoff);
    auto end = std::max(at_least, header.shoff + table_size);
    for (std::size_t i = 0; i < header.shnum; ++i) {
        auto const section = peek<elf::shdr>(file, static_cast<std::size_t>(header.shoff) + i * sizeof(elf::shdr));
        if (section.type == 0 || section.type == elf::sht_nobits)
            continue;
        if (!fits(section.offset, section.size, file.size()))
            return fail(errc::truncated, "elf.section", section.offset);
        end = std::max(end, section.offset + section.size);
    }
    return end;
}
} // namespace detail

/// Takes the x86_64 kernel ELF at the start of `file` apart. `errc::unsupported` for another machine (its e_machine as
/// value; 0 for another class or byte order), `errc::truncated` when something lies beyond the end.
[[nodiscard]] inline result<vmlinux_image> parse_vmlinux(std::span<std::byte const> file) noexcept {
    if (file.size() < sizeof(elf::ehdr))
        return fail(errc::truncated, "elf.header", file.size());
    auto const header = detail::peek<elf::ehdr>(file, 0);
    switch (detect_kernel(file)) {
    case kernel_kind::elf_x86_64: break;
    case kernel_kind::elf_aarch64: return fail(errc::unsupported, "elf.machine", header.machine);
    case kernel_kind::elf_other: {
        auto const same_layout = header.ident[4] == elf::class_64 && header.ident[5] == elf::data_little;
        return fail(errc::unsupported, "elf.machine", same_layout ? header.machine.get() : 0U);
    }
    default: return fail(errc::bad_format, "elf.magic", detail::peek<le32>(file, 0));
    }
    if (header.type != elf::et_exec && header.type != elf::et_dyn)
        return fail(errc::bad_format, "elf.type", header.type);
    if (header.phentsize != sizeof(elf::phdr))
        return fail(errc::bad_format, "elf.phentsize", header.phentsize);
    auto const table_size = std::uint64_t{header.phnum} * sizeof(elf::phdr);
    if (!fits(header.phoff, table_size, file.size()))
        return fail(errc::truncated, "elf.segments", header.phoff);

    vmlinux_image out;
    auto low = ~std::uint64_t{0};
    std::uint64_t high = 0;
    auto file_end = header.phoff + table_size;
    for (std::size_t i = 0; i < header.phnum; ++i) {
        auto const raw = detail::peek<elf::phdr>(file, static_cast<std::size_t>(header.phoff) + i * sizeof(elf::phdr));
        if (raw.type != elf::pt_load || raw.memsz == 0)
            continue;
        if (out.segment_count == vmlinux_image::max_segments)
            return fail(errc::unsupported, "elf.segment_count", header.phnum);
        if (raw.filesz > raw.memsz)
            return fail(errc::bad_format, "elf.filesz", raw.filesz);
        if (!fits(raw.offset, raw.filesz, file.size()))
            return fail(errc::truncated, "elf.segment", raw.offset);
        if (!fits(raw.paddr, raw.memsz, std::uint64_t{1} << 52))
            return fail(errc::out_of_range, "elf.paddr", raw.paddr);
        low = std::min(low, raw.paddr.get());
        high = std::max(high, raw.paddr + raw.memsz);
        file_end = std::max(file_end, raw.offset + raw.filesz);
        out.table[out.segment_count++] = {gpa{raw.paddr}, raw.offset, raw.filesz, raw.memsz};
    }
    if (out.segment_count == 0)
        return fail(errc::bad_format, "elf.no_segments");
    if (high - low >= 2 * GiB)
        return fail(errc::out_of_range, "elf.extent", high - low);
    out.extent = {gpa{low}, bytes{high - low}};
    // The entry is physical in all kernels since 2.6; a virtual one is taken for what it means.
    out.entry = gpa{header.entry >= kernel_map_base ? header.entry - kernel_map_base : header.entry.get()};
    if (!out.extent.contains(out.entry))
        return fail(errc::bad_format, "elf.entry", header.entry);
    KTSTR_TRY(out.elf_size, detail::elf_sections_end(file, header, file_end));
    return out;
}

} // namespace ktstr
