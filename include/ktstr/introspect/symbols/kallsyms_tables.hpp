// SPDX-License-Identifier: Apache-2.0
/// \file
/// The kernel's own compressed symbol table, in place: names and addresses are taken out of the image one by one.
///
/// Source: linux 6.12 scripts/kallsyms.c (write_src), kernel/kallsyms.c (kallsyms_expand_symbol, kallsyms_sym_address).
///
///     num_syms     u32
///     names        num_syms times: length (1 byte, 2 when the first has bit 7: low 7 bits first), that many token codes
///     markers      u32 for each 256th symbol: where it starts in `names`
///     token_table  256 strings with NUL: what a code stands for
///     token_index  256 u16: where each of them starts
///     offsets      num_syms 32-bit numbers, see `kallsyms_encoding`
///     relative_base u64, where the encoding has one
///
/// The first character of an expanded name is the symbol's type.
#pragma once

#include "ktstr/base/endian.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/boot/kernel_image.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

namespace ktstr {

/// What the 32-bit numbers of the offsets table mean.
enum class kallsyms_encoding : std::uint8_t {
    /// Unsigned, above the base.
    from_base,
    /// Not negative: the address itself, which KASLR does not move (per-CPU offsets); negative: base - 1 - number. x86_64
    /// with CONFIG_KALLSYMS_ABSOLUTE_PERCPU, up to 6.14.
    from_base_or_absolute,
    /// Signed, from the number's own place (kernels without kallsyms_relative_base, 7.0 and later).
    from_itself,
};

/// A short name of `encoding`.
[[nodiscard]] constexpr std::string_view name_of(kallsyms_encoding encoding) noexcept {
    switch (encoding) {
    case kallsyms_encoding::from_base: return "base-relative";
    case kallsyms_encoding::from_base_or_absolute: return "base-relative, per-CPU absolute";
    case kallsyms_encoding::from_itself: return "place-relative";
    }
    return "unknown";
}

/// One symbol as the tables have it.
struct kallsyms_symbol {
    gva address{};
    bool absolute = false;
};

/// Where the tables are; made by `locate_kallsyms`, which has checked that every symbol lies inside them.
struct kallsyms_tables {
    static constexpr std::size_t max_name = 1023; ///< With the type; KSYM_NAME_LEN is 512 since 6.1.

    std::uint32_t count = 0;
    std::span<std::byte const> names{};
    std::span<std::byte const> markers{};
    std::span<std::byte const> token_table{};
    std::span<std::byte const> token_index{};
    std::span<std::byte const> offsets{};
    kallsyms_encoding encoding = kallsyms_encoding::from_base;
    std::uint64_t base = 0; ///< kallsyms_relative_base, or the address of `offsets` where numbers count from themselves.

    /// The address of symbol `i` < `count`.
    [[nodiscard]] kallsyms_symbol place(std::uint32_t i) const noexcept {
        return decode(encoding, base, detail::peek<le32>(offsets, std::size_t{i} * 4), i);
    }

    /// What `number` at position `i` means.
    [[nodiscard]] static constexpr kallsyms_symbol decode(kallsyms_encoding encoding, std::uint64_t base, std::uint32_t number,
                                                          std::uint32_t i) noexcept {
        auto const widened = static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<std::int32_t>(number)));
        switch (encoding) {
        case kallsyms_encoding::from_base: return {gva{base + number}, false};
        case kallsyms_encoding::from_base_or_absolute:
            if (static_cast<std::int32_t>(number) >= 0)
                return {gva{number}, true};
            return {gva{base - 1 - widened}, false};
        case kallsyms_encoding::from_itself: return {gva{base + std::uint64_t{i} * 4 + widened}, false};
        }
        return {};
    }
};

/// Steps through compressed names without expanding them.
class kallsyms_name_walk {
public:
    explicit constexpr kallsyms_name_walk(std::span<std::byte const> names, std::size_t at = 0) noexcept : names_(names), at_(at) {}

    [[nodiscard]] constexpr std::size_t offset() const noexcept { return at_; }

    /// The token codes of the next name; nothing when they would be empty or reach beyond the end.
    [[nodiscard]] constexpr std::optional<std::span<std::byte const>> next() noexcept {
        if (at_ >= names_.size())
            return std::nullopt;
        auto length = std::to_integer<std::size_t>(names_[at_]);
        std::size_t used = 1;
        if ((length & 0x80U) != 0) {
            if (names_.size() - at_ < 2)
                return std::nullopt;
            length = (length & 0x7fU) | (std::to_integer<std::size_t>(names_[at_ + 1]) << 7);
            used = 2;
        }
        if (length == 0 || length > names_.size() - at_ - used)
            return std::nullopt;
        auto const out = names_.subspan(at_ + used, length);
        at_ += used + length;
        return out;
    }

private:
    std::span<std::byte const> names_;
    std::size_t at_;
};

/// Expands token codes to text.
class kallsyms_expander {
public:
    /// Of tables that `locate_kallsyms` found; borrows them.
    explicit kallsyms_expander(kallsyms_tables const& tables) noexcept {
        for (std::size_t code = 0; code < tokens_.size(); ++code) {
            auto const start = std::size_t{detail::peek<le16>(tables.token_index, code * 2)};
            if (start >= tables.token_table.size())
                continue;
            auto const* const text = reinterpret_cast<char const*>(tables.token_table.data()) + start;
            auto& out = tokens_[code];
            out.text = {text, ::strnlen(text, tables.token_table.size() - start)};
            std::memcpy(out.head.data(), text, std::min(out.text.size(), out.head.size()));
        }
    }

    /// The text that `codes` stand for, the type first. Cut at `kallsyms_tables::max_name` bytes. Valid until the next call.
    [[nodiscard]] std::string_view expand(std::span<std::byte const> codes) noexcept {
        std::size_t used = 0;
        for (auto const code : codes) {
            auto const& known = tokens_[std::to_integer<std::size_t>(code)];
            if (known.text.size() > kallsyms_tables::max_name - used)
                break;
            // Nearly all are short: a copy of fixed size is a single instruction, and the buffer has room for it.
            std::memcpy(text_.data() + used, known.head.data(), known.head.size());
            if (known.text.size() > known.head.size())
                std::memcpy(text_.data() + used, known.text.data(), known.text.size());
            used += known.text.size();
        }
        return {text_.data(), used};
    }

private:
    struct token {
        std::array<char, 16> head{};
        std::string_view text{};
    };
    std::array<token, 256> tokens_{};
    std::array<char, kallsyms_tables::max_name + 16> text_{};
};

/// The address of the first symbol called `name`, looked up in the compressed table without building an index: for a
/// program that wants one or two symbols.
[[nodiscard]] inline std::optional<kallsyms_symbol> find_kallsyms(kallsyms_tables const& tables, std::string_view name) noexcept {
    kallsyms_expander expander(tables);
    kallsyms_name_walk walk(tables.names);
    for (std::uint32_t i = 0; i < tables.count; ++i) {
        auto const codes = walk.next();
        if (!codes)
            break;
        // A name cannot be shorter than its codes: a code stands for at least one character in every table of use.
        if (codes->size() > name.size() + 1)
            continue;
        auto const text = expander.expand(*codes);
        if (text.size() == name.size() + 1 && text.substr(1) == name)
            return tables.place(i);
    }
    return std::nullopt;
}

} // namespace ktstr
