// SPDX-License-Identifier: Apache-2.0
/// \file
/// What every `MsiSink` model promises beyond its signature. `Probe` owns a sink and its other end: `auto& sink()`,
/// `uint64_t arrived()` (messages since the last call) and `uint64_t expected(n)` (what n messages look like there).
#pragma once

#include "ktstr/hv/msi.hpp"

#include <cstdint>
#include <doctest/doctest.h>
#include <type_traits>

TEST_CASE_TEMPLATE_DEFINE("MsiSink: messages arrive, and any address and data do no harm", Probe, msi_sink_suite) {
    Probe probe;
    static_assert(ktstr::explain_msi_sink<std::remove_reference_t<decltype(probe.sink())>>());
    CHECK(probe.arrived() == 0);
    probe.sink().send({0xfee00000, 0x41});
    CHECK(probe.arrived() == probe.expected(1));
    CHECK(probe.arrived() == 0);
    for (std::uint64_t const address : {std::uint64_t{0}, std::uint64_t{0xfee01000}, std::uint64_t{0xfeeffff0}, ~std::uint64_t{0}})
        for (std::uint32_t const data : {0u, 0x41u, 0xffffffffu})
            probe.sink().send({address, data});
    probe.arrived();
}
