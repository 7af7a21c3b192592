// SPDX-License-Identifier: Apache-2.0
// A source of symbols that cannot say how many it has is told what is missing.
// EXPECT: SymbolSource: missing `size_t size() const noexcept`
#include "ktstr/introspect/symbols/source.hpp"

struct unsized_symbols {
    [[nodiscard]] std::optional<ktstr::symbol> find(std::string_view) const noexcept { return std::nullopt; }
    [[nodiscard]] std::optional<ktstr::symbol_offset> nearest(ktstr::gva) const noexcept { return std::nullopt; }
    template <class Visit>
    void for_each(Visit&&) const noexcept {}
};
static_assert(ktstr::explain_symbol_source<ktstr::null_symbols>());
#ifdef KTSTR_EXPECT_FAIL
static_assert(ktstr::explain_symbol_source<unsized_symbols>());
#endif
