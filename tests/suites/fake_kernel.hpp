// SPDX-License-Identifier: Apache-2.0
/// \file
/// Tiny synthetic kernels for tests: an ELF with sections, relocation tables, and a bzImage around a payload.
#pragma once

#include "ktstr/abi/boot_params.hpp"
#include "ktstr/abi/elf.hpp"
#include "ktstr/base/cursor.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ktstr::test {

using byte_vector = std::vector<std::byte>;

inline byte_vector bytes_from(std::string_view text) {
    auto const raw = std::as_bytes(std::span(text.data(), text.size()));
    return {raw.begin(), raw.end()};
}
template <class T>
void put_at(byte_vector& out, std::size_t at, T const& value) {
    if (out.size() < at + sizeof(T))
        out.resize(at + sizeof(T));
    std::memcpy(out.data() + at, &value, sizeof(T));
}
template <class T>
T get_at(std::span<std::byte const> from, std::size_t at) {
    T out;
    std::memcpy(static_cast<void*>(&out), from.data() + at, sizeof(T));
    return out;
}
inline byte_vector words(std::vector<std::uint32_t> const& values) {
    byte_vector out;
    for (std::size_t i = 0; i < values.size(); ++i)
        put_at(out, 4 * i, le32(values[i]));
    return out;
}
inline byte_vector joined(byte_vector a, std::span<std::byte const> b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

struct fake_section {
    std::string name;
    byte_vector content;
    std::uint32_t type = 1;
};

/// What to build. The code segment holds its own bytes; the data segment 16 bytes and then zeros.
struct fake_elf {
    std::uint16_t machine = elf::em_x86_64;
    std::uint16_t type = elf::et_exec;
    std::uint64_t entry = 0x1000040;
    std::uint64_t code_at = 0x1000000;
    std::uint64_t data_at = 0x1200000;
    byte_vector code = byte_vector(256, std::byte{0xc3});
    byte_vector data = byte_vector(16, std::byte{0xda});
    std::uint64_t data_memory = 0x3000;
    std::vector<fake_section> sections{};

    [[nodiscard]] byte_vector build() const {
        byte_vector out;
        elf::ehdr header;
        std::copy(elf::magic.begin(), elf::magic.end(), header.ident.begin());
        header.ident[4] = elf::class_64;
        header.ident[5] = elf::data_little;
        header.ident[6] = 1;
        header.type = type;
        header.machine = machine;
        header.version = 1U;
        header.entry = entry;
        header.phoff = std::uint64_t{sizeof(elf::ehdr)};
        header.ehsize = std::uint16_t{sizeof(elf::ehdr)};
        header.phentsize = std::uint16_t{sizeof(elf::phdr)};
        header.phnum = std::uint16_t{2};
        header.shentsize = std::uint16_t{sizeof(elf::shdr)};
        std::size_t at = sizeof(elf::ehdr) + 2 * sizeof(elf::phdr);
        auto const load = [&](std::size_t index, std::uint64_t where, byte_vector const& content, std::uint64_t memory) {
            elf::phdr segment;
            segment.type = elf::pt_load;
            segment.offset = std::uint64_t{at};
            segment.vaddr = where + 0xffff'ffff'8000'0000;
            segment.paddr = where;
            segment.filesz = std::uint64_t{content.size()};
            segment.memsz = memory;
            put_at(out, sizeof(elf::ehdr) + index * sizeof(elf::phdr), segment);
            out.resize(std::max(out.size(), at + content.size()));
            std::copy(content.begin(), content.end(), out.begin() + static_cast<std::ptrdiff_t>(at));
            at += content.size();
        };
        load(0, code_at, code, code.size());
        load(1, data_at, data, data_memory);
        std::string names(1, '\0');
        std::vector<elf::shdr> table(1);
        auto all = sections;
        all.push_back({".shstrtab", {}, 3});
        for (auto& section : all) {
            elf::shdr row;
            row.name = static_cast<std::uint32_t>(names.size());
            names += section.name + '\0';
            if (section.name == ".shstrtab")
                section.content = bytes_from(names);
            row.type = section.type;
            row.offset = std::uint64_t{at};
            row.size = std::uint64_t{section.content.size()};
            if (section.type != elf::sht_nobits) {
                out.resize(at);
                out.insert(out.end(), section.content.begin(), section.content.end());
                at += section.content.size();
            }
            table.push_back(row);
        }
        at = (at + 7) / 8 * 8;
        header.shoff = std::uint64_t{at};
        header.shnum = static_cast<std::uint16_t>(table.size());
        header.shstrndx = static_cast<std::uint16_t>(table.size() - 1);
        for (std::size_t i = 0; i < table.size(); ++i)
            put_at(out, at + i * sizeof(elf::shdr), table[i]);
        put_at(out, 0, header);
        return out;
    }
};

/// A bzImage around `payload` with one setup sector and the version line `version`.
inline byte_vector fake_bzimage(std::span<std::byte const> payload, std::string_view version = "7.3.4-fake (me) #1") {
    byte_vector out(1024);
    x86_boot::setup_header header;
    header.setup_sects = 1;
    header.boot_flag = x86_boot::boot_flag_value;
    header.jump_opcode = 0xeb;
    header.jump_length = 0x6a;
    header.header = x86_boot::header_magic;
    header.version = std::uint16_t{0x020f};
    header.loadflags = x86_boot::loaded_high;
    header.kernel_version = std::uint16_t{0x80}; // at 0x280
    header.xloadflags = x86_boot::xlf_kernel_64;
    header.cmdline_size = 2047U;
    header.kernel_alignment = 0x200000U;
    header.payload_offset = 16U;
    header.payload_length = static_cast<std::uint32_t>(payload.size());
    header.pref_address = std::uint64_t{0x1000000};
    header.init_size = 0x400000U;
    put_at(out, x86_boot::setup_header_offset, header);
    std::memcpy(out.data() + 0x280, version.data(), version.size());
    out.resize(1024 + 16);
    out.insert(out.end(), payload.begin(), payload.end());
    return out;
}

} // namespace ktstr::test
