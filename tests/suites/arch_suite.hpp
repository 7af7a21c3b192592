// SPDX-License-Identifier: Apache-2.0
/// \file
/// What every model of `Arch` agrees with itself about.
#pragma once

#include "ktstr/arch/arch.hpp"
#include "ktstr/base/checked.hpp"

#include <bit>
#include <doctest/doctest.h>
#include <span>

template <ktstr::Arch A>
void arch_suite() {
    using namespace ktstr;
    static_assert(explain_arch<A>());
    CHECK_FALSE(std::string_view(A::name).empty());
    CHECK(std::string_view(A::name).find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos);
    CHECK(std::has_single_bit(A::page_size));
    CHECK(A::page_size >= 4096);
    gpa_range const hole = A::mmio_hole;
    CHECK(hole.start.raw % A::page_size == 0);
    CHECK(hole.size.raw % A::page_size == 0);
    CHECK(hole.end() >= hole.start); // the hole does not wrap
    std::span<reset_write const> const resets(A::reset_writes);
    for (std::size_t i = 0; i < resets.size(); ++i) {
        for (std::size_t k = i + 1; k < resets.size(); ++k)
            CHECK_FALSE((resets[i].port == resets[k].port && resets[i].value == resets[k].value));
    }
    static_assert(A::pc(typename A::regs_type{}) == gva{0});
}
