// SPDX-License-Identifier: Apache-2.0
#include "ktstr/wire/wake_histogram.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace ktstr::wire;

TEST_CASE("wake_histogram: buckets ascend, and each begins at its floor") {
    for (std::size_t i = 0; i + 1 < wake_buckets; ++i) {
        CHECK(wake_bucket(wake_bucket_floor(i)) == i);
        CHECK(wake_bucket_floor(i) < wake_bucket_floor(i + 1));
        CHECK(wake_bucket(wake_bucket_floor(i + 1) - 1) == i);
    }
    CHECK(wake_bucket(~std::uint64_t{0}) == wake_buckets - 1);
}

TEST_CASE("wake_histogram: percentiles are the upper edge of their bucket") {
    std::vector<std::uint32_t> counts(wake_buckets);
    CHECK(wake_percentile(counts, 99) == 0);
    counts[wake_bucket(1000)] = 99;
    counts[wake_bucket(1'000'000)] = 1;
    CHECK(wake_percentile(counts, 50) >= 1000);
    CHECK(wake_percentile(counts, 50) <= 1280);
    CHECK(wake_percentile(counts, 99) <= 1280);
    CHECK(wake_percentile(counts, 100) >= 1'000'000);
}
