// SPDX-License-Identifier: Apache-2.0
#include "ktstr/introspect/symbols/source.hpp"

#include "suites/symbol_source_suite.hpp"

#include <array>
#include <doctest/doctest.h>

using namespace ktstr;

namespace {
// [own_source]
/// The two symbols a test needs, without any image.
struct two_symbols {
    std::array<symbol, 2> all{{{"begin", gva{0x1000}, 'T', false}, {"finish", gva{0x2000}, 'T', false}}};

    [[nodiscard]] std::optional<symbol> find(std::string_view name) const noexcept {
        for (auto const& each : all)
            if (each.name == name)
                return each;
        return std::nullopt;
    }
    [[nodiscard]] std::optional<symbol_offset> nearest(gva at) const noexcept {
        if (at < all[0].address || at >= all[1].address + 4096)
            return std::nullopt;
        auto const& found = at < all[1].address ? all[0] : all[1];
        return symbol_offset{found, at - found.address};
    }
    template <class Visit>
    void for_each(Visit&& visit) const {
        for (auto const& each : all)
            if (!visit(each))
                return;
    }
    [[nodiscard]] std::size_t size() const noexcept { return all.size(); }
};
static_assert(explain_symbol_source<two_symbols>());
// [/own_source]
} // namespace

TEST_CASE("SymbolSource: null model and a model of one's own") {
    symbol_source_suite(null_symbols{});
    symbol_source_suite(two_symbols{});
}
