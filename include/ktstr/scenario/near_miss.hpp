// SPDX-License-Identifier: Apache-2.0
/// \file
/// Which known name a mistyped one probably meant.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace ktstr {

/// The number of single-letter insertions, deletions, replacements and swaps of neighbours between `a` and `b`.
/// Names longer than 63 bytes count as entirely different.
[[nodiscard]] constexpr std::size_t edit_distance(std::string_view a, std::string_view b) noexcept {
    constexpr std::size_t most = 64;
    if (a.size() >= most || b.size() >= most)
        return std::max(a.size(), b.size());
    std::array<std::size_t, most> before{}, last{}, now{};
    for (std::size_t j = 0; j <= b.size(); ++j)
        last[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        now[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            auto const replace = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            now[j] = std::min({last[j] + 1, now[j - 1] + 1, replace});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = std::min(now[j], before[j - 2] + 1);
        }
        before = last;
        last = now;
    }
    return last[b.size()];
}

/// The name of `known` that is closest to `typed` and close enough to suggest (a third of its letters, at least one);
/// empty when none is.
[[nodiscard]] constexpr std::string_view near_miss(std::string_view typed, std::span<std::string_view const> known) noexcept {
    std::string_view best{};
    std::size_t least = std::max<std::size_t>(2, typed.size() / 3) + 1;
    for (auto const name : known) {
        auto const d = edit_distance(typed, name);
        if (d < least) {
            least = d;
            best = name;
        }
    }
    return best;
}

} // namespace ktstr
