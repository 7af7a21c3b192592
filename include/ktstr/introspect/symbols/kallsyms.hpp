// SPDX-License-Identifier: Apache-2.0
/// \file
/// Symbols of a stripped kernel: decodes the table that the kernel carries for its own stack traces.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/introspect/image_region.hpp"
#include "ktstr/introspect/symbols/kallsyms_locate.hpp"
#include "ktstr/introspect/symbols/kallsyms_tables.hpp"
#include "ktstr/introspect/symbols/table.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ktstr {

/// The tables of the kernel ELF `file`, stripped or not. Looks into .rodata first, then into everything that is loaded.
/// Errors are those of `loaded_regions` and `locate_kallsyms`.
[[nodiscard]] inline result<kallsyms_tables> locate_kallsyms(std::span<std::byte const> file) {
    KTSTR_TRY(auto const regions, loaded_regions(file));
    // Old x86_64 kernels have a piece at address 0 (per-CPU data): it is not where the image starts.
    auto base = gva{~std::uint64_t{0}};
    for (auto const& each : regions)
        if (each.address.raw >> 63 != 0)
            base = std::min(base, each.address);
    if (auto const rodata = section_region(file, ".rodata"))
        if (auto found = locate_kallsyms(std::span<image_region const>(&*rodata, 1), base))
            return found;
    return locate_kallsyms(regions, base);
}

/// All symbols of `tables`. `errc::bad_format` when the names are not there as `locate_kallsyms` saw them (memory that
/// changes while it is read).
[[nodiscard]] inline result<symbol_table> decode_kallsyms(kallsyms_tables const& tables) {
    symbol_table_builder builder;
    builder.reserve(tables.count, tables.names.size() * 3);
    kallsyms_expander expander(tables);
    kallsyms_name_walk walk(tables.names);
    for (std::uint32_t i = 0; i < tables.count; ++i) {
        auto const codes = walk.next();
        if (!codes)
            return fail(errc::bad_format, "kallsyms.names", i);
        auto const text = expander.expand(*codes);
        auto const place = tables.place(i);
        if (text.size() > 1)
            builder.add(text.substr(1), place.address, text[0], place.absolute);
    }
    return std::move(builder).finish();
}

/// All symbols that the kernel ELF `file` carries for itself; the file need not outlive them.
[[nodiscard]] inline result<symbol_table> decode_kallsyms(std::span<std::byte const> file) {
    KTSTR_TRY(auto const tables, locate_kallsyms(file));
    return decode_kallsyms(tables);
}

} // namespace ktstr
