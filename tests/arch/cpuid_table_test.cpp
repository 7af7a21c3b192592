// SPDX-License-Identifier: Apache-2.0
#include "ktstr/arch/x86_64/cpuid_table.hpp"

#include <array>
#include <doctest/doctest.h>
#include <string_view>

using namespace ktstr;

namespace {
constexpr std::array some{cpuid_entry{7, 0, 1, 1, 2, 3, 4}, cpuid_entry{7, 1, 1, 5, 6, 7, 8}, cpuid_entry{1, 0, 0, 9, 0, 0, 0},
                          cpuid_entry{0x80000000, 0, 0, 10, 0, 0, 0}};
} // namespace

TEST_CASE("cpuid_table: the index selects only where it is significant") {
    cpuid_table table(some);
    REQUIRE(table.find(7, 1) != nullptr);
    CHECK(table.find(7, 1)->eax == 5);
    CHECK(table.find(7, 2) == nullptr);
    CHECK(table.find(1, 5)->eax == 9);
    CHECK(table.find(2) == nullptr);
}

TEST_CASE("cpuid_table: set replaces every answer of a leaf, get makes zeros, drop removes") {
    cpuid_table table(some);
    table.set(7, {1, 1, 1, 1});
    CHECK(table.find(7, 1)->eax == 1);
    CHECK(table.get(3).eax == 0);
    table.set_indexed(4, std::array{cpuid_regs{1, 0, 0, 0}, cpuid_regs{2, 0, 0, 0}});
    CHECK(table.find(4, 1)->eax == 2);
    CHECK(table.find(4, 1)->flags == cpuid_index_significant);
    table.drop_range(4, 0x7fffffff);
    auto const left = std::move(table).take();
    REQUIRE(left.size() == 3);
    CHECK(left[0].function == 1);
    CHECK(left[1].function == 3);
    CHECK(left[2].function == 0x80000000);
}

TEST_CASE("cpuid_table: take sorts by function, then index") {
    constexpr std::array mixed{cpuid_entry{0x80000000, 0, 0}, cpuid_entry{4, 1, 1}, cpuid_entry{4, 0, 1}, cpuid_entry{0, 0, 0}};
    auto const sorted = cpuid_table(mixed).take();
    CHECK(sorted[0].function == 0);
    CHECK(sorted[1] == cpuid_entry{4, 0, 1});
    CHECK(sorted[2] == cpuid_entry{4, 1, 1});
    CHECK(sorted[3].function == 0x80000000);
}

TEST_CASE("cpuid_vendor_of: EBX, EDX, ECX in this order") {
    auto const name = cpuid_vendor_of({0, 0, 0, 0, cpuid_chars("Genu"), cpuid_chars("ntel"), cpuid_chars("ineI")});
    CHECK(std::string_view(name.data(), name.size()) == "GenuineIntel");
    CHECK(cpuid_chars("M") == 0x4d);
}
