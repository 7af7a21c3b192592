// SPDX-License-Identifier: Apache-2.0
/// \file
/// What every model of `SymbolSource` does, whatever its symbols are.
#pragma once

#include "ktstr/introspect/symbols/source.hpp"

#include <algorithm>
#include <cstdint>
#include <doctest/doctest.h>
#include <string>
#include <vector>

/// Looks at every symbol of `source`: what one function says of it, the others confirm.
template <ktstr::SymbolSource S>
void symbol_source_suite(S const& source) {
    using namespace ktstr;
    static_assert(explain_symbol_source<S>());
    std::vector<symbol> all;
    source.for_each([&](symbol const& each) {
        all.push_back(each);
        return true;
    });
    REQUIRE(all.size() == source.size());
    CHECK(std::is_sorted(all.begin(), all.end(), [](symbol const& a, symbol const& b) { return a.address < b.address; }));

    std::size_t wrong_name = 0;
    std::size_t wrong_address = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
        auto const by_name = source.find(all[i].name);
        // The first of its name, which is not behind this one.
        wrong_name += !by_name || by_name->name != all[i].name || by_name->address > all[i].address ? 1U : 0U;
        auto const by_address = source.nearest(all[i].address);
        auto const first = i == 0 || all[i - 1].address != all[i].address;
        wrong_address += !by_address || by_address->offset != 0 || by_address->symbol.address != all[i].address ||
                                 (first && by_address->symbol != all[i])
                             ? 1U
                             : 0U;
        // The byte before the next symbol still belongs to this one.
        if (i + 1 < all.size() && all[i + 1].address > all[i].address && all[i + 1].absolute == all[i].absolute) {
            auto const inside = source.nearest(gva{all[i + 1].address.raw - 1});
            wrong_address += !inside || inside->symbol.address != all[i].address ||
                                     inside->offset != all[i + 1].address - all[i].address - 1
                                 ? 1U
                                 : 0U;
        }
    }
    CHECK(wrong_name == 0);
    CHECK(wrong_address == 0);

    CHECK_FALSE(source.find(""));
    CHECK_FALSE(source.find("no symbol is called so"));
    CHECK(count_named(source, "no symbol is called so") == 0);
    if (all.empty()) {
        CHECK_FALSE(source.nearest(gva{0xffff'ffff'8100'0000}));
        return;
    }
    CHECK(count_named(source, all.front().name) >= 1);
    CHECK_FALSE(source.find(std::string(all.front().name) + "_and_more"));
    if (all.front().address.raw > 0)
        CHECK_FALSE(source.nearest(gva{all.front().address.raw - 1}));
    CHECK_FALSE(source.nearest(gva{~std::uint64_t{0}}));
    // A visitor that has had enough is not called again.
    std::size_t calls = 0;
    source.for_each([&](symbol const&) {
        ++calls;
        return false;
    });
    CHECK(calls == 1);
}
