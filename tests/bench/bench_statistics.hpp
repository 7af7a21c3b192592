// SPDX-License-Identifier: Apache-2.0
/// \file
/// Medians, percentiles and a bootstrap-free confidence interval for paired ratios: all a noisy machine allows.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace bench {

/// The value below which the part `q` (0 to 1) of `v` lies; `v` must not be empty.
[[nodiscard]] inline double percentile(std::vector<double> v, double q) {
    std::sort(v.begin(), v.end());
    auto const at = static_cast<std::size_t>(q * static_cast<double>(v.size() - 1) + 0.5);
    return v[std::min(at, v.size() - 1)];
}

/// The median.
[[nodiscard]] inline double median(std::vector<double> v) { return percentile(std::move(v), 0.5); }

/// A distribution-free 95 % confidence interval of the median: order statistics n/2 -+ 0.98 sqrt(n).
struct interval {
    double low = 0, high = 0;
};
[[nodiscard]] inline interval median_interval(std::vector<double> v) {
    std::sort(v.begin(), v.end());
    auto const n = static_cast<double>(v.size());
    auto const half = 0.98 * std::sqrt(n);
    auto const last = v.size() - 1;
    auto const low = static_cast<std::size_t>(std::max(0.0, std::floor(n / 2 - half)));
    auto const high = std::min(last, static_cast<std::size_t>(std::ceil(n / 2 + half)));
    return {v[std::min(low, last)], v[high]};
}

} // namespace bench
