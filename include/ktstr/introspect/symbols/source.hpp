// SPDX-License-Identifier: Apache-2.0
/// \file
/// The `SymbolSource` policy: names and addresses of a kernel's functions and variables.
///
/// Contract: const and without side effects, callable from any thread; nothing blocks or allocates.
/// - `find(name)`: the symbol called exactly `name`; of several with that name (static functions of different files) the
///   one with the lowest address. Nothing when there is none.
/// - `nearest(at)`: the symbol that `at` lies in: the last one at or below it, of several at one address the first in the
///   source's order (the kernel's own choice in stack traces). Nothing below the first symbol, in the gap between per-CPU
///   offsets and the image, and beyond the page of the last symbol.
/// - `for_each(visit)`: calls `visit(symbol)` in ascending order of addresses until it returns false.
/// - `size()`: how many symbols `for_each` would show.
/// Names are views that live as long as the source. Addresses are those the kernel was linked for, unless the source says
/// otherwise (`slid_symbols`).
/// Models: `null_symbols`, `symbol_table` (made by decode_kallsyms, read_elf_symtab, read_system_map), `slid_symbols`.
/// Suite: tests/suites/symbol_source_suite.hpp.
#pragma once

#include "ktstr/base/units.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace ktstr {

/// One symbol.
struct symbol {
    std::string_view name{};
    gva address{};
    char type = '?';       ///< The letter of nm(1) and /proc/kallsyms: 'T' global text, 'd' static data, ...
    bool absolute = false; ///< KASLR does not move it: the offset of a per-CPU variable (x86_64 before 6.15).
    friend constexpr bool operator==(symbol const&, symbol const&) noexcept = default;
};

/// A symbol and how many bytes behind its start.
struct symbol_offset {
    ktstr::symbol symbol{};
    std::uint64_t offset = 0;
    friend constexpr bool operator==(symbol_offset const&, symbol_offset const&) noexcept = default;
};

namespace detail {
/// What the concept calls `for_each` with.
struct symbol_visitor_archetype {
    bool operator()(symbol const&) const noexcept { return true; }
};
template <class S>
concept symbol_source_find = requires(S const& s, std::string_view name) {
    { s.find(name) } noexcept -> std::same_as<std::optional<symbol>>;
};
template <class S>
concept symbol_source_nearest = requires(S const& s, gva at) {
    { s.nearest(at) } noexcept -> std::same_as<std::optional<symbol_offset>>;
};
template <class S>
concept symbol_source_for_each = requires(S const& s, symbol_visitor_archetype visit) {
    { s.for_each(visit) } -> std::same_as<void>;
};
template <class S>
concept symbol_source_size = requires(S const& s) {
    { s.size() } noexcept -> std::same_as<std::size_t>;
};
} // namespace detail

/// Symbols of a kernel; see the contract at the top of this file.
template <class S>
concept SymbolSource = detail::symbol_source_find<S> && detail::symbol_source_nearest<S> && detail::symbol_source_for_each<S> &&
                       detail::symbol_source_size<S>;

/// Fails to compile with one sentence per requirement that `S` misses.
template <class S>
consteval bool explain_symbol_source() {
    static_assert(detail::symbol_source_find<S>, "SymbolSource: missing `optional<symbol> find(string_view) const noexcept`");
    static_assert(detail::symbol_source_nearest<S>, "SymbolSource: missing `optional<symbol_offset> nearest(gva) const noexcept`");
    static_assert(detail::symbol_source_for_each<S>, "SymbolSource: missing `void for_each(visit) const`");
    static_assert(detail::symbol_source_size<S>, "SymbolSource: missing `size_t size() const noexcept`");
    return SymbolSource<S>;
}

/// A kernel of which nothing is known.
struct null_symbols {
    [[nodiscard]] std::optional<symbol> find(std::string_view) const noexcept { return std::nullopt; }
    [[nodiscard]] std::optional<symbol_offset> nearest(gva) const noexcept { return std::nullopt; }
    template <class Visit>
    void for_each(Visit&&) const noexcept {}
    [[nodiscard]] std::size_t size() const noexcept { return 0; }
};
static_assert(SymbolSource<null_symbols>);

/// How many symbols of `source` are called `name`: more than one means that the name alone does not say which is meant.
/// Looks at every symbol.
template <SymbolSource S>
[[nodiscard]] std::size_t count_named(S const& source, std::string_view name) {
    std::size_t out = 0;
    source.for_each([&](symbol const& each) {
        out += each.name == name ? 1U : 0U;
        return true;
    });
    return out;
}

} // namespace ktstr
