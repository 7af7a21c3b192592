// SPDX-License-Identifier: Apache-2.0
/// \file
/// What every `ByteSink` model promises beyond its signature. `Probe` owns one: `auto& sink()`, and
/// `bool holds(std::string_view)`: whether its other end shows what it should after these bytes in all.
#pragma once

#include "ktstr/dev/byte_sink.hpp"

#include <array>
#include <cstddef>
#include <doctest/doctest.h>
#include <span>
#include <string>
#include <type_traits>

TEST_CASE_TEMPLATE_DEFINE("ByteSink: takes everything, in order, in pieces of any size", Probe, byte_sink_suite) {
    Probe probe;
    static_assert(ktstr::explain_byte_sink<std::remove_reference_t<decltype(probe.sink())>>());
    std::string all;
    auto const put = [&](std::string const& text) {
        probe.sink().put(std::as_bytes(std::span(text)));
        all += text;
    };
    put("");
    CHECK(probe.holds(all));
    put("a");
    put("b\nc");
    CHECK(probe.holds(all));
    put(std::string(1000, 'x'));
    put("end");
    CHECK(probe.holds(all));
}
