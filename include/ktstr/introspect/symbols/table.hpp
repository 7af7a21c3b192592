// SPDX-License-Identifier: Apache-2.0
/// \file
/// Symbols in memory: sorted by address, found by name through a hash index, all names in one piece of memory.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/introspect/symbols/source.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ktstr {

/// Symbols of one kernel. Immutable once made by a `symbol_table_builder`.
class symbol_table {
public:
    /// The last symbol of the image, and the last per-CPU offset, reach to the end of their page.
    static constexpr std::uint64_t last_reach = 4096;

    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

    /// The symbol at position `i` < `size()` in order of addresses.
    [[nodiscard]] symbol at(std::size_t i) const noexcept { return shown(entries_[i]); }

    [[nodiscard]] std::optional<symbol> find(std::string_view name) const noexcept {
        if (slots_.empty())
            return std::nullopt;
        auto const hash = hash_of(name);
        auto const mask = slots_.size() - 1;
        for (auto at = hash & mask;; at = (at + 1) & mask) {
            auto const& here = slots_[at];
            if (here.index == 0)
                return std::nullopt;
            if (here.hash == hash && name_of(entries_[here.index - 1]) == name)
                return shown(entries_[here.index - 1]);
        }
    }

    [[nodiscard]] std::optional<symbol_offset> nearest(gva at) const noexcept {
        auto const above = std::upper_bound(entries_.begin(), entries_.end(), at.raw,
                                            [](std::uint64_t wanted, entry const& e) { return wanted < e.address; });
        if (above == entries_.begin())
            return std::nullopt;
        auto const found = std::prev(above);
        auto const last_of_its_kind = above == entries_.end() || above->absolute != found->absolute;
        if (last_of_its_kind && at.raw - found->address >= last_reach - found->address % last_reach)
            return std::nullopt;
        auto const first = std::lower_bound(entries_.begin(), found, found->address,
                                            [](entry const& e, std::uint64_t wanted) { return e.address < wanted; });
        return symbol_offset{shown(*first), at.raw - first->address};
    }

    template <class Visit>
    void for_each(Visit&& visit) const {
        for (auto const& each : entries_)
            if (!visit(shown(each)))
                return;
    }

private:
    friend class symbol_table_builder;
    struct entry {
        std::uint64_t address = 0;
        std::uint32_t name = 0;   ///< Offset into `names_`.
        std::uint16_t length = 0; ///< Of the name, bytes.
        char type = '?';
        bool absolute = false;
    };
    static_assert(sizeof(entry) == 16);
    struct slot {
        std::uint32_t hash = 0;
        std::uint32_t index = 0; ///< Position + 1; 0 is a free slot.
    };

    [[nodiscard]] std::string_view name_of(entry const& e) const noexcept { return {names_.data() + e.name, e.length}; }
    [[nodiscard]] symbol shown(entry const& e) const noexcept { return {name_of(e), gva{e.address}, e.type, e.absolute}; }

    /// Eight bytes a step: names are read once for each look-up and once when the index is built.
    [[nodiscard]] static std::uint32_t hash_of(std::string_view name) noexcept {
        constexpr std::uint64_t odd = 0x9e37'79b9'7f4a'7c15;
        std::uint64_t state = name.size() * odd;
        while (!name.empty()) {
            std::uint64_t word = 0;
            auto const n = std::min(name.size(), sizeof(word));
            std::memcpy(&word, name.data(), n);
            state = (state ^ word) * odd;
            state ^= state >> 32;
            name.remove_prefix(n);
        }
        return static_cast<std::uint32_t>(state);
    }

    std::vector<entry> entries_;
    std::vector<slot> slots_; ///< A power of two of them, at most four fifths in use; empty without symbols.
    std::string names_;
};
static_assert(SymbolSource<symbol_table>);

/// Collects symbols in any order and makes a table of them.
class symbol_table_builder {
public:
    static constexpr std::size_t max_symbols = std::size_t{1} << 24;
    static constexpr std::size_t max_name = std::numeric_limits<std::uint16_t>::max();

    /// Makes room for so many symbols with so many bytes of names; only a matter of speed.
    void reserve(std::size_t symbols, std::size_t name_bytes) {
        table_.entries_.reserve(std::min(symbols, max_symbols));
        table_.names_.reserve(name_bytes);
    }

    /// Adds one; `name` is copied. What does not fit makes `finish` fail.
    void add(std::string_view name, gva address, char type, bool absolute = false) {
        if (name.size() > max_name || table_.entries_.size() == max_symbols ||
            table_.names_.size() > std::numeric_limits<std::uint32_t>::max() - max_name) {
            overflow_ = true;
            return;
        }
        table_.entries_.push_back({address.raw, static_cast<std::uint32_t>(table_.names_.size()),
                                   static_cast<std::uint16_t>(name.size()), type, absolute});
        table_.names_.append(name);
    }

    /// The table of everything added; equal addresses keep the order in which they were added. `errc::no_space` when there
    /// were more than 2^24 symbols, 4 GiB of names, or a name beyond 65,535 bytes.
    [[nodiscard]] result<symbol_table> finish() && {
        auto& entries = table_.entries_;
        if (overflow_)
            return fail(errc::no_space, "symbols.table", entries.size());
        // Names lie in the order in which symbols were added.
        auto const below = [](auto const& a, auto const& b) {
            return a.address != b.address ? a.address < b.address : a.name < b.name;
        };
        if (!std::is_sorted(entries.begin(), entries.end(), below))
            std::sort(entries.begin(), entries.end(), below);
        if (!entries.empty()) {
            table_.slots_.resize(std::bit_ceil(entries.size() + entries.size() / 4 + 1));
            for (std::size_t i = 0; i < entries.size(); ++i)
                insert(i);
        }
        return std::move(table_);
    }

private:
    /// The first of several with one name stays, which has the lowest address.
    void insert(std::size_t i) noexcept {
        auto const name = table_.name_of(table_.entries_[i]);
        auto const hash = symbol_table::hash_of(name);
        auto const mask = table_.slots_.size() - 1;
        for (auto at = hash & mask;; at = (at + 1) & mask) {
            auto& here = table_.slots_[at];
            if (here.index == 0) {
                here = {hash, static_cast<std::uint32_t>(i + 1)};
                return;
            }
            if (here.hash == hash && table_.name_of(table_.entries_[here.index - 1]) == name)
                return;
        }
    }

    symbol_table table_;
    bool overflow_ = false;
};

} // namespace ktstr
