// SPDX-License-Identifier: Apache-2.0
/// \file
/// What every `IrqLine` model promises beyond its signature. `Probe` owns a line and its other end: `auto& line()`,
/// `uint64_t arrived()` (edges since the last call) and `uint64_t expected(n)` (what n edges look like there).
#pragma once

#include "ktstr/dev/irq_line.hpp"

#include <doctest/doctest.h>
#include <type_traits>

TEST_CASE_TEMPLATE_DEFINE("IrqLine: an edge arrives, and edges without a listener do no harm", Probe, irq_line_suite) {
    Probe probe;
    static_assert(ktstr::explain_irq_line<std::remove_reference_t<decltype(probe.line())>>());
    CHECK(probe.arrived() == 0);
    probe.line().pulse();
    CHECK(probe.arrived() == probe.expected(1));
    CHECK(probe.arrived() == 0);
    for (int i = 0; i < 1000; ++i)
        probe.line().pulse();
    CHECK(probe.arrived() == probe.expected(1000));
}
