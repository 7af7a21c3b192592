// SPDX-License-Identifier: Apache-2.0
/// \file
/// "Did you mean ...?": the known name that is nearest to a misspelt one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ktstr::tool {

/// The number of single-character insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
[[nodiscard]] inline std::size_t edit_distance(std::string_view a, std::string_view b) {
    auto const width = b.size() + 1;
    std::vector<std::size_t> before(width);
    std::vector<std::size_t> last(width);
    std::vector<std::size_t> row(width);
    for (std::size_t j = 0; j < width; ++j)
        last[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j < width; ++j) {
            auto const change = last[j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U);
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, change});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = std::min(row[j], before[j - 2] + 1);
        }
        std::swap(before, last);
        std::swap(last, row);
    }
    return last[b.size()];
}

/// The entry of `known` nearest to `word`, or an empty view when none is near enough to be meant
/// (at most a third of the longer name may differ; a name that `word` begins always counts).
[[nodiscard]] inline std::string_view near_miss(std::string_view word, std::span<std::string_view const> known) {
    std::string_view best;
    std::size_t best_distance = 0;
    for (auto const candidate : known) {
        auto const prefix = word.size() >= 2 && candidate.starts_with(word);
        auto const distance = prefix ? 1 : edit_distance(word, candidate);
        auto const allowed = std::max<std::size_t>(1, std::max(word.size(), candidate.size()) / 3);
        if (distance <= allowed && (best.empty() || distance < best_distance)) {
            best = candidate;
            best_distance = distance;
        }
    }
    return best;
}

/// "did you mean 'x'?" or the whole list of known names when nothing is near.
[[nodiscard]] inline std::string hint(std::string_view word, std::span<std::string_view const> known) {
    if (auto const near = near_miss(word, known); !near.empty())
        return "did you mean '" + std::string(near) + "'?";
    std::string out = "known are:";
    for (auto const name : known) {
        out += ' ';
        out += name;
    }
    return out;
}

} // namespace ktstr::tool
