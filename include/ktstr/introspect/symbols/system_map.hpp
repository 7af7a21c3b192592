// SPDX-License-Identifier: Apache-2.0
/// \file
/// Symbols from a System.map or a saved /proc/kallsyms: lines of address, type and name.
///
/// Source: nm(1) without options; linux 6.12 kernel/kallsyms.c (s_show), which adds a tab and "[module]".
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/introspect/symbols/table.hpp"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <system_error>
#include <utility>

namespace ktstr {

namespace detail {
/// Addresses below this are offsets of per-CPU variables, which KASLR does not move: the kernel's half of the address
/// space has the highest bit set.
inline constexpr std::uint64_t kernel_half = std::uint64_t{1} << 63;
} // namespace detail

/// The symbols in `text`. Lines of modules ("[name]" behind the symbol) are left out: they are not in the image. Empty
/// lines are skipped, the last one needs no newline. `errc::bad_format` at "system_map.line" with the line's number from 1
/// when one is no symbol; `errc::not_found` at "system_map.symbols" when there is none; `errc::permission` at
/// "system_map.hidden" when all addresses are 0, as an unprivileged reader of /proc/kallsyms sees them.
[[nodiscard]] inline result<symbol_table> read_system_map(std::string_view text) {
    symbol_table_builder builder;
    std::uint64_t number = 0;
    std::uint64_t highest = 0;
    std::size_t found = 0;
    while (!text.empty()) {
        ++number;
        auto const end = text.find('\n');
        auto line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (line.ends_with('\r'))
            line.remove_suffix(1);
        if (line.empty())
            continue;
        std::uint64_t address = 0;
        auto const [stop, failed] = std::from_chars(line.data(), line.data() + line.size(), address, 16);
        auto const digits = static_cast<std::size_t>(stop - line.data());
        // Address, blank, type, blank, at least one letter.
        if (failed != std::errc{} || line.size() < digits + 4 || line[digits] != ' ' || line[digits + 2] != ' ')
            return fail(errc::bad_format, "system_map.line", number);
        auto const type = line[digits + 1];
        auto const name = line.substr(digits + 3);
        auto const blank = name.find_first_of(" \t");
        if (type <= ' ' || type > '~' || blank == 0)
            return fail(errc::bad_format, "system_map.line", number);
        if (blank != std::string_view::npos) {
            auto const behind = name.substr(blank + 1);
            if (!behind.starts_with('[') || !behind.ends_with(']'))
                return fail(errc::bad_format, "system_map.line", number);
            continue;
        }
        builder.add(name, gva{address}, type, address < detail::kernel_half);
        highest = highest < address ? address : highest;
        ++found;
    }
    if (found == 0)
        return fail(errc::not_found, "system_map.symbols", number);
    if (highest == 0)
        return fail(errc::permission, "system_map.hidden", found);
    return std::move(builder).finish();
}

} // namespace ktstr
