// SPDX-License-Identifier: Apache-2.0
// The failing half of these is tests/compile_fail/abi_wrong_size.cpp.
#include "ktstr/base/layout.hpp"

#include <cstdint>
#include <doctest/doctest.h>

namespace {
struct sample {
    std::uint32_t a;
    std::uint16_t b;
    std::uint16_t c;
};
KTSTR_ABI(sample, 8);
KTSTR_ABI_AT(sample, b, 4);
KTSTR_ABI_AT(sample, c, 6);
} // namespace

TEST_CASE("KTSTR_ABI accepts a structure that is as its specification says") {
    CHECK(sizeof(sample) == 8);
}
