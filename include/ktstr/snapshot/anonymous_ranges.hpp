// SPDX-License-Identifier: Apache-2.0
/// \file
/// Which parts of this process's address space are private anonymous memory: those where "not there" means "zero".
#pragma once

#include "ktstr/base/checked.hpp"
#include "ktstr/sys/io.hpp"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace ktstr::detail {

/// Addresses `[begin, end)` of this process.
struct address_range {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    friend bool operator==(address_range const&, address_range const&) noexcept = default;
};

/// The private anonymous mappings in `maps`, the text of /proc/PID/maps; neighbours are joined. Lines that are not
/// understood are left out.
[[nodiscard]] inline std::vector<address_range> anonymous_ranges_of(std::string_view maps) {
    std::vector<address_range> out;
    while (!maps.empty()) {
        auto const line = maps.substr(0, maps.find('\n'));
        maps.remove_prefix(line.size() < maps.size() ? line.size() + 1 : line.size());
        // begin-end rwxp offset major:minor inode path
        address_range range;
        auto const* const last = line.data() + line.size();
        auto const first = std::from_chars(line.data(), last, range.begin, 16);
        if (first.ec != std::errc{} || first.ptr == last || *first.ptr != '-')
            continue;
        auto const second = std::from_chars(first.ptr + 1, last, range.end, 16);
        if (second.ec != std::errc{} || last - second.ptr < 6 || second.ptr[4] != 'p')
            continue;
        auto rest = line.substr(static_cast<std::size_t>(second.ptr - line.data()) + 6);
        for (int field = 0; field < 2; ++field) { // offset, device
            auto const blank = rest.find(' ');
            rest.remove_prefix(blank == rest.npos ? rest.size() : blank + 1);
        }
        auto const inode = rest.substr(0, rest.find(' '));
        if (inode != "0" || rest.find("/") != rest.npos || rest.find("[v") != rest.npos) // [vdso], [vvar], [vsyscall]
            continue;
        if (!out.empty() && out.back().end == range.begin)
            out.back().end = range.end;
        else
            out.push_back(range);
    }
    return out;
}

/// The private anonymous mappings of this process; none when /proc cannot be read.
[[nodiscard]] inline std::vector<address_range> anonymous_ranges() {
    auto const maps = read_file("/proc/self/maps");
    return maps ? anonymous_ranges_of(*maps) : std::vector<address_range>{};
}

/// Whether all `n` bytes at `at` lie in one of `ranges`.
[[nodiscard]] inline bool holds(std::span<address_range const> ranges, void const* at, std::size_t n) noexcept {
    auto const address = reinterpret_cast<std::uintptr_t>(at);
    for (auto const& r : ranges)
        if (address >= r.begin && address < r.end && fits(address - r.begin, n, r.end - r.begin))
            return true;
    return false;
}

} // namespace ktstr::detail
