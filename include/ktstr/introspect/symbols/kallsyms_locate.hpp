// SPDX-License-Identifier: Apache-2.0
/// \file
/// Finds the kernel's symbol table in an image that has no symbols to say where it is.
///
/// Everything is recognised by its shape, nothing by the kernel's version: the order of the tables changed in 6.4, their
/// encoding in 6.15 (x86_64) and 7.0, their alignment in 7.1, and stable kernels take changes back in.
/// - token_index: 256 rising u16 from 0, and right before it 256 strings that start where it says;
/// - markers: rising u32 from 0, somewhere before the token table (kallsyms_seqs_of_names may lie between, 6.2 and 6.3);
/// - num_syms and names: a count that agrees with the number of markers, and names that pass each marker exactly and end
///   where the markers start;
/// - offsets: behind token_index (6.4 and later) or before num_syms (6.1 to 6.3), in the one encoding in which all
///   addresses rise.
///
/// Not supported: kernels of at most 256 symbols, and those with absolute addresses instead of offsets (no
/// CONFIG_KALLSYMS_BASE_RELATIVE, which x86_64 and arm64 always had).
#pragma once

#include "ktstr/base/checked.hpp"
#include "ktstr/base/endian.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/boot/kernel_image.hpp"
#include "ktstr/introspect/image_region.hpp"
#include "ktstr/introspect/symbols/kallsyms_tables.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

namespace ktstr {

namespace detail {

/// One search through one region. Positions are offsets into the region.
class kallsyms_search {
public:
    kallsyms_search(image_region const& region, gva image_base) noexcept
        : data_(region.data), address_(region.address.raw), image_base_(image_base.raw),
          budget_(std::uint64_t{1'000'000} + 16 * std::uint64_t{region.data.size()}) {}

    [[nodiscard]] result<kallsyms_tables> run() noexcept {
        for (std::size_t at = 0; at + index_bytes <= data_.size() && budget_ != 0; at += 4) {
            // Most of an image fails at the first of these.
            auto const head = load<std::uint64_t>(at);
            if ((head & 0xffffU) != 0 || (head >> 16 & 0xffffU) - 1 >= max_token)
                continue;
            std::array<std::uint16_t, 256> index{};
            if (!rising_index(at, index))
                continue;
            auto const tokens = token_table_before(at, index);
            if (!tokens)
                continue;
            reached(stage::markers);
            if (auto const found = before_tokens(*tokens, at))
                return *found;
        }
        if (budget_ == 0)
            return fail(errc::bad_format, "kallsyms.budget", data_.size());
        return fail(errc::not_found, name_of(stage_), address_);
    }

    /// How far a search that found nothing got; the later, the more of the tables were there.
    enum class stage : std::uint8_t { token_index, markers, names, offsets };
    [[nodiscard]] stage furthest() const noexcept { return stage_; }

private:
    static constexpr std::size_t index_bytes = 512;
    static constexpr std::size_t max_token = 512;
    static constexpr std::uint32_t block = 256; ///< Symbols a marker.
    static constexpr std::uint32_t min_block_bytes = block * 2;
    static constexpr std::uint32_t max_block_bytes = block * (2 + kallsyms_tables::max_name);

    [[nodiscard]] static constexpr std::string_view name_of(stage s) noexcept {
        switch (s) {
        case stage::token_index: return "kallsyms.token_index";
        case stage::markers: return "kallsyms.markers";
        case stage::names: return "kallsyms.names";
        case stage::offsets: return "kallsyms.offsets";
        }
        return "kallsyms";
    }
    void reached(stage s) noexcept { stage_ = std::max(stage_, s); }
    void spend(std::uint64_t steps) noexcept { budget_ -= std::min(budget_, steps); }

    /// The caller has checked that it lies inside.
    template <class T>
    [[nodiscard]] T load(std::size_t at) const noexcept {
        T out;
        std::memcpy(&out, data_.data() + at, sizeof(T));
        return out;
    }
    [[nodiscard]] std::uint32_t word(std::size_t at) const noexcept { return load<le32>(at); }
    [[nodiscard]] bool zeros(std::size_t from, std::size_t to) const noexcept {
        return std::all_of(data_.begin() + static_cast<std::ptrdiff_t>(from), data_.begin() + static_cast<std::ptrdiff_t>(to),
                           [](std::byte b) { return b == std::byte{0}; });
    }

    [[nodiscard]] bool rising_index(std::size_t at, std::array<std::uint16_t, 256>& index) noexcept {
        spend(1);
        for (std::size_t i = 1; i < index.size(); ++i) {
            index[i] = load<le16>(at + i * 2);
            if (index[i] <= index[i - 1] || index[i] - index[i - 1] > int{max_token})
                return false;
        }
        spend(index.size());
        return true;
    }

    /// Where the strings start of which `index` says the offsets, when they end right before it.
    [[nodiscard]] std::optional<std::size_t> token_table_before(std::size_t at,
                                                                std::array<std::uint16_t, 256> const& index) noexcept {
        auto const shortest = align_up(std::uint64_t{index.back()} + 1, 4);
        for (auto size = *shortest; size <= index.back() + max_token + 8 && size <= at; size += 4) {
            spend(1);
            auto const start = at - static_cast<std::size_t>(size);
            if (strings_are_at(start, index, at))
                return start;
        }
        return std::nullopt;
    }

    [[nodiscard]] bool strings_are_at(std::size_t start, std::array<std::uint16_t, 256> const& index, std::size_t end) noexcept {
        for (std::size_t i = 0; i + 1 < index.size(); ++i) {
            auto const length = static_cast<std::size_t>(index[i + 1] - index[i]) - 1;
            auto const* const text = data_.data() + start + index[i];
            if (text[length] != std::byte{0} || std::memchr(text, 0, length) != nullptr)
                return false;
            spend(1);
        }
        auto const last = start + index.back();
        auto const* const stop = std::memchr(data_.data() + last, 0, end - last);
        if (stop == nullptr)
            return false;
        auto const behind = static_cast<std::size_t>(static_cast<std::byte const*>(stop) - data_.data()) + 1;
        return end - behind < 8 && zeros(behind, end);
    }

    /// Looks for markers, names and count below the token table, then for offsets on both sides.
    [[nodiscard]] std::optional<kallsyms_tables> before_tokens(std::size_t tokens, std::size_t index) noexcept {
        for (auto at = align_down(tokens, 4); at >= 12 && budget_ != 0;) {
            at -= 4;
            spend(1);
            if (at + 8 > tokens || word(at) != 0 || !is_step(0, word(at + 4)))
                continue;
            std::size_t length = 2;
            while (at + 4 * (length + 1) <= tokens && is_step(word(at + 4 * (length - 1)), word(at + 4 * length)))
                ++length;
            spend(length);
            reached(stage::names);
            // What follows the markers may look like one or two more of them.
            for (auto count = length; count >= 2 && count + 3 > length; --count)
                if (auto const names = names_before(at, count))
                    return with_offsets(*names, at, tokens, index);
        }
        return std::nullopt;
    }
    [[nodiscard]] static bool is_step(std::uint32_t from, std::uint32_t to) noexcept {
        return to > from && to - from >= min_block_bytes && to - from <= max_block_bytes;
    }

    struct name_table {
        std::size_t count_at = 0, start = 0, end = 0;
        std::uint32_t count = 0;
    };

    /// The names that end at `markers`, of which there are `blocks`.
    [[nodiscard]] std::optional<name_table> names_before(std::size_t markers, std::size_t blocks) noexcept {
        auto const last = std::size_t{word(markers + 4 * (blocks - 1))};
        if (markers < last + 2 + 4)
            return std::nullopt;
        auto const highest = static_cast<std::size_t>(align_down(markers - last - 2, 4));
        auto const reach = std::size_t{max_block_bytes} + 8;
        auto const lowest = std::max<std::size_t>(8, markers - last > reach ? markers - last - reach : 0);
        for (auto start = highest; start >= lowest && budget_ != 0; start -= 4) {
            spend(1);
            auto const padded = word(start - 4) == 0;
            auto const count_at = start - (padded ? 8U : 4U);
            auto const count = word(count_at);
            if (count <= block * (blocks - 1) || count > block * blocks)
                continue;
            if (auto const end = end_of_names(start, count, markers))
                return name_table{count_at, start, *end, count};
        }
        return std::nullopt;
    }

    [[nodiscard]] std::optional<std::size_t> end_of_names(std::size_t start, std::uint32_t count, std::size_t markers) noexcept {
        auto const names = data_.subspan(start, markers - start);
        kallsyms_name_walk walk(names);
        for (std::uint32_t i = 0; i < count; ++i) {
            if (i % block == 0) {
                spend(block);
                if (walk.offset() != word(markers + std::size_t{i / block} * 4))
                    return std::nullopt;
            }
            if (!walk.next())
                return std::nullopt;
        }
        auto const end = start + walk.offset();
        if (markers - end >= 8 || !zeros(end, markers))
            return std::nullopt;
        return end;
    }

    [[nodiscard]] std::optional<kallsyms_tables> with_offsets(name_table const& names, std::size_t markers, std::size_t tokens,
                                                              std::size_t index) noexcept {
        reached(stage::offsets);
        kallsyms_tables out;
        out.count = names.count;
        out.names = data_.subspan(names.start, names.end - names.start);
        out.markers = data_.subspan(markers, std::size_t{(names.count + block - 1) / block} * 4);
        out.token_table = data_.subspan(tokens, index - tokens);
        out.token_index = data_.subspan(index, index_bytes);
        auto const bytes = std::size_t{names.count} * 4;
        auto const padded = (bytes + 7) / 8 * 8;
        // Behind the index, with the base behind them.
        auto const behind = index + index_bytes;
        if (fits(behind, padded + 8, data_.size()) && try_base(out, behind, behind + padded))
            return out;
        // The same, without a base.
        if (fits(behind, bytes, data_.size()) &&
            try_encoding(out, behind, kallsyms_encoding::from_itself, address_ + behind))
            return out;
        // Before the count.
        if (names.count_at >= padded + 8 && try_base(out, names.count_at - 8 - padded, names.count_at - 8))
            return out;
        return std::nullopt;
    }

    [[nodiscard]] bool try_base(kallsyms_tables& out, std::size_t offsets, std::size_t base_at) noexcept {
        std::uint64_t base = load<le64>(base_at);
        // Position-independent images (arm64) have it in their relocations: it is the start of the image.
        if (base == 0)
            base = image_base_;
        constexpr std::uint64_t reach = std::uint64_t{1} << 31;
        if (base - address_ >= reach && address_ - base >= reach)
            return false;
        return try_encoding(out, offsets, kallsyms_encoding::from_base_or_absolute, base) ||
               try_encoding(out, offsets, kallsyms_encoding::from_base, base);
    }

    /// Whether all addresses rise when the numbers at `at` are read so.
    [[nodiscard]] bool try_encoding(kallsyms_tables& out, std::size_t at, kallsyms_encoding encoding, std::uint64_t base) noexcept {
        auto const first = kallsyms_tables::decode(encoding, base, word(at), 0);
        auto last = first;
        for (std::uint32_t i = 1; i < out.count; ++i) {
            auto const next = kallsyms_tables::decode(encoding, base, word(at + std::size_t{i} * 4), i);
            if (next.address < last.address)
                return false;
            last = next;
        }
        spend(out.count);
        // A kernel of nothing but per-CPU data, or with everything at one address, is another table.
        if (last.absolute || last.address == first.address)
            return false;
        out.offsets = data_.subspan(at, std::size_t{out.count} * 4);
        out.encoding = encoding;
        out.base = base;
        return true;
    }

    std::span<std::byte const> data_;
    std::uint64_t address_;
    std::uint64_t image_base_;
    std::uint64_t budget_;
    stage stage_ = stage::token_index;
};

} // namespace detail

/// Where the symbol tables are in one of `regions`; all tables lie in one. `image_base` is the address of the image's
/// first byte. `errc::not_found` names the first table that could not be found ("kallsyms.token_index", "kallsyms.markers",
/// "kallsyms.names", "kallsyms.offsets"); `errc::bad_format` at "kallsyms.budget" when a hostile image costs too much time.
[[nodiscard]] inline result<kallsyms_tables> locate_kallsyms(std::span<image_region const> regions, gva image_base) noexcept {
    result<kallsyms_tables> out = fail(errc::not_found, "kallsyms.token_index");
    auto best = detail::kallsyms_search::stage::token_index;
    for (auto const& each : regions) {
        detail::kallsyms_search search(each, image_base);
        auto found = search.run();
        if (found)
            return found;
        if (search.furthest() >= best) {
            best = search.furthest();
            out = found;
        }
    }
    return out;
}

} // namespace ktstr
