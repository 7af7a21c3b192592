// SPDX-License-Identifier: Apache-2.0
/// \file
/// What every model of `Parker` takes while nobody wants anything of it: it comes back at once from every call.
#pragma once

#include "ktstr/run/parker.hpp"

#include <doctest/doctest.h>

template <ktstr::Parker P>
void parker_suite(P& point) {
    static_assert(ktstr::explain_parker<P>());
    for (int i = 0; i < 3; ++i) {
        CHECK_FALSE(point.wanted());
        point.park();
        point.settle();
        point.entering();
        point.returned();
    }
    point.ended();
}
