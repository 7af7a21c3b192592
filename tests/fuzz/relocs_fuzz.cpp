// SPDX-License-Identifier: Apache-2.0
// Any bytes as relocation tables: applying them changes nothing outside the kernel, and undoing them restores it (unless
// two places overlap: then carries get mixed up, as they would in the kernel's own decompressor).
#include "ktstr/boot/relocs.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace {
/// Whether no byte belongs to two places.
bool are_apart(ktstr::reloc_tables const& tables) {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> all;
    auto const add = [&](std::span<std::byte const> list, std::uint32_t width) {
        for (std::size_t at = 0; at < list.size(); at += 4)
            all.emplace_back(ktstr::detail::peek<ktstr::le32>(list, at), width);
    };
    add(tables.absolute64, 8);
    add(tables.inverse32, 4);
    add(tables.absolute32, 4);
    std::sort(all.begin(), all.end());
    for (std::size_t i = 1; i < all.size(); ++i)
        if (all[i].first - all[i - 1].first < all[i - 1].second)
            return false;
    return true;
}
} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace ktstr;
    auto const tables = parse_relocs(std::as_bytes(std::span(data, size)));
    if (!tables)
        return 0;
    constexpr gpa_range extent{gpa{16 * MiB}, bytes{8192}};
    std::vector<std::byte> ram(3 * 8192, std::byte{0x5a});
    buffer_memory const memory(ram);
    constexpr std::uint64_t delta = 0x3e00000;
    auto const moved = apply_relocs(memory, extent, gpa{8192}, *tables, delta);
    for (std::size_t i = 0; i < 8192; ++i)
        if (ram[i] != std::byte{0x5a} || ram[2 * 8192 + i] != std::byte{0x5a})
            __builtin_trap();
    if (!moved || !are_apart(*tables))
        return 0;
    if (!apply_relocs(memory, extent, gpa{8192}, *tables, 0 - delta))
        __builtin_trap();
    for (auto const b : ram)
        if (b != std::byte{0x5a})
            __builtin_trap();
    return 0;
}
