// SPDX-License-Identifier: Apache-2.0
#include "ktstr/snapshot/anonymous_ranges.hpp"

#include <doctest/doctest.h>
#include <vector>

using namespace ktstr;
using ktstr::detail::address_range;

TEST_CASE("anonymous_ranges: private mappings without a file, neighbours joined") {
    auto const found = ktstr::detail::anonymous_ranges_of(
        "1000-2000 rw-p 00000000 00:00 0 \n"
        "2000-3000 ---p 00000000 00:00 0                          [heap]\n"
        "3000-4000 rw-p 00000000 08:01 77                         /usr/bin/prog\n"
        "4000-5000 rw-s 00000000 00:01 3                          /memfd:x (deleted)\n"
        "5000-6000 rw-s 00000000 00:00 0 \n"
        "6000-7000 r--p 00000000 00:00 0                          [vvar]\n"
        "garbage\n"
        "zz-7000 rw-p\n"
        "8000-9000 rw-p 00000000 00:00 0                          [anon:guest RAM]\n"
        "7fff00000000-7fff00001000 rw-p 00000000 00:00 0");
    CHECK(found == std::vector<address_range>{{0x1000, 0x3000}, {0x8000, 0x9000}, {0x7fff00000000, 0x7fff00001000}});
    CHECK(ktstr::detail::holds(found, reinterpret_cast<void*>(0x1800), 0x1800));
    CHECK_FALSE(ktstr::detail::holds(found, reinterpret_cast<void*>(0x1800), 0x1801));
    CHECK_FALSE(ktstr::detail::holds(found, reinterpret_cast<void*>(0x3000), 0));
}

TEST_CASE("anonymous_ranges: this process's own") {
    std::vector<char> big(1 << 24);
    CHECK(ktstr::detail::holds(ktstr::detail::anonymous_ranges(), big.data(), big.size()));
}
