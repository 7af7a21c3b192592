// SPDX-License-Identifier: Apache-2.0
/// \file
/// What every model of `ExitStats` takes: any exit kind, any duration, in any order.
#pragma once

#include "ktstr/run/exit_stats.hpp"

#include <doctest/doctest.h>
#include <limits>

template <ktstr::ExitStats S>
void exit_stats_suite(S& stats) {
    using namespace ktstr;
    static_assert(explain_exit_stats<S>());
    for (std::size_t k = 0; k < exit_kinds; ++k) {
        stats.count(static_cast<exit_kind>(k));
        stats.add_time(static_cast<exit_kind>(k), nanos{0});
        stats.add_time(static_cast<exit_kind>(k), nanos{static_cast<std::int64_t>(k)});
    }
}
