// SPDX-License-Identifier: Apache-2.0
/// \file
/// Synthetic kallsyms tables in every arrangement that kernels from 6.1 to 7.3 use.
#pragma once

#include "ktstr/introspect/symbols/kallsyms_tables.hpp"
#include "suites/fake_kernel.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ktstr::test {

struct fake_symbol {
    std::string name;
    std::uint64_t address = 0;
    char type = 'T';
    bool absolute = false;
};

/// `count` symbols of a kernel linked at `text`, per-CPU offsets first when `per_cpu` says so; pairs share an address.
inline std::vector<fake_symbol> fake_symbols(std::size_t count, std::uint64_t text, std::size_t per_cpu = 0) {
    std::vector<fake_symbol> out;
    for (std::size_t i = 0; i < count; ++i) {
        auto const absolute = i < per_cpu;
        auto const step = (absolute ? i : i - per_cpu) / 2 * 0x30;
        auto name = (i % 3 == 0 ? "sys_call_" : "vfs_") + std::to_string(i);
        if (i == count / 2)
            name.append(200, 'L'); // needs a length of two bytes
        out.push_back({name, (absolute ? 0 : text) + step, absolute ? 'A' : i % 5 == 0 ? 't' : 'T', absolute});
    }
    out.back().name = "_end";
    return out;
}

/// How to arrange the tables.
struct fake_kallsyms {
    kallsyms_encoding encoding = kallsyms_encoding::from_base;
    bool offsets_first = false;  ///< 6.1 to 6.3.
    bool sequences = false;      ///< kallsyms_seqs_of_names between markers and tokens: 6.2, 6.3.
    std::size_t alignment = 8;   ///< 4 since 7.1.
    std::uint64_t address = 0xffff'ffff'8100'0000; ///< Of the first byte.
    std::uint64_t base = 0xffff'ffff'8100'0000;    ///< kallsyms_relative_base.
    bool base_missing = false;   ///< The base is stored as 0.

    /// The bytes of a region with something in front of and behind the tables.
    [[nodiscard]] byte_vector build(std::vector<fake_symbol> const& symbols) const {
        byte_vector out(1000, std::byte{0xcc});
        auto const align = [&](std::size_t to) { out.resize((out.size() + to - 1) / to * to); };
        auto const put = [&](auto value) { put_at(out, out.size(), value); };

        // Codes: each printable character stands for itself, the low ones for frequent pieces.
        std::array<std::string, 256> tokens;
        std::array<std::string_view, 4> const pieces{"sys_", "call_", "vfs_", "LLLL"};
        for (std::size_t i = 0; i < tokens.size(); ++i)
            tokens[i] = i < pieces.size() ? std::string(pieces[i]) : i < 32 || i > 126 ? "~" + std::to_string(i) : std::string(1, static_cast<char>(i));
        auto const compress = [&](fake_symbol const& each) {
            std::string codes(1, each.type);
            for (std::string_view rest = each.name; !rest.empty();) {
                auto const piece = std::find_if(pieces.begin(), pieces.end(), [&](auto p) { return rest.starts_with(p) && p != "LLLL"; });
                codes += piece != pieces.end() ? static_cast<char>(piece - pieces.begin()) : rest[0];
                rest.remove_prefix(piece != pieces.end() ? piece->size() : 1);
            }
            return codes;
        };
        auto const count = static_cast<std::uint32_t>(symbols.size());
        auto const put_offsets = [&] {
            for (auto const& each : symbols) {
                auto const here = address + out.size();
                switch (encoding) {
                case kallsyms_encoding::from_base: put(static_cast<std::uint32_t>(each.address - base)); break;
                case kallsyms_encoding::from_base_or_absolute:
                    put(static_cast<std::uint32_t>(each.absolute ? each.address : base - 1 - each.address));
                    break;
                case kallsyms_encoding::from_itself: put(static_cast<std::uint32_t>(each.address - here)); break;
                }
            }
        };
        auto const put_base = [&] {
            if (encoding != kallsyms_encoding::from_itself) {
                align(8);
                put(base_missing ? std::uint64_t{0} : base);
            }
        };

        align(8);
        if (offsets_first) {
            put_offsets();
            put_base();
        }
        align(alignment);
        put(count);
        align(alignment);
        auto const names = out.size();
        std::vector<std::uint32_t> markers;
        for (std::size_t i = 0; i < symbols.size(); ++i) {
            if (i % 256 == 0)
                markers.push_back(static_cast<std::uint32_t>(out.size() - names));
            auto const codes = compress(symbols[i]);
            if (codes.size() > 0x7f) {
                put(static_cast<std::uint8_t>((codes.size() & 0x7f) | 0x80));
                put(static_cast<std::uint8_t>(codes.size() >> 7));
            } else {
                put(static_cast<std::uint8_t>(codes.size()));
            }
            for (auto const c : codes)
                put(c);
        }
        align(alignment);
        for (auto const m : markers)
            put(m);
        if (sequences) {
            align(alignment);
            // The first is symbol 1, so that what follows an even number of markers looks like one more of them.
            for (std::uint32_t i = 0; i < count; ++i)
                for (auto const shift : {16U, 8U, 0U})
                    put(static_cast<std::uint8_t>((i + 1) % count >> shift));
        }
        align(alignment);
        std::vector<std::uint16_t> index;
        auto const table = out.size();
        for (auto const& each : tokens) {
            index.push_back(static_cast<std::uint16_t>(out.size() - table));
            for (auto const c : each)
                put(c);
            put('\0');
        }
        align(alignment);
        for (auto const i : index)
            put(i);
        if (!offsets_first) {
            put_offsets();
            put_base();
        }
        out.resize(out.size() + 777, std::byte{0xee});
        return out;
    }
};

/// A stripped kernel ELF whose only code is the region.
inline byte_vector fake_vmlinux(byte_vector region) {
    fake_elf elf;
    elf.code = std::move(region);
    elf.data_at = 0x1000000 + (elf.code.size() + 0xfffff) / 0x100000 * 0x100000;
    return elf.build();
}

} // namespace ktstr::test
