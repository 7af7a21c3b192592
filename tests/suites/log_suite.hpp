// SPDX-License-Identifier: Apache-2.0
/// \file
/// What every model of `LogSink` does: takes lines of every length and level, from temporaries, without keeping them.
#pragma once

#include "ktstr/base/log.hpp"

#include <doctest/doctest.h>
#include <string>

template <ktstr::LogSink L>
void log_suite(L& log) {
    static_assert(ktstr::explain_log_sink<L>());
    using enum ktstr::log_level;
    for (auto const level : {debug, info, warning, error}) {
        log.write(level, "");
        log.write(level, std::string_view{});
        log.write(level, "one line");
        log.write(level, std::string(5000, 'x'));
    }
}
