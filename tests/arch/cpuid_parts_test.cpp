// SPDX-License-Identifier: Apache-2.0
// The pieces that make_cpuid is put together from.
#include "ktstr/arch/x86_64/cpuid_identity.hpp"
#include "ktstr/arch/x86_64/cpuid_topology.hpp"

#include <doctest/doctest.h>

using namespace ktstr;

TEST_CASE("decode_signature: extended family and model count where they should") {
    struct row {
        std::uint32_t eax;
        std::uint32_t family;
        std::uint32_t model;
    };
    for (auto const& [eax, family, model] : {row{0x000806f8, 6, 0x8f}, row{0x00a00f11, 0x19, 1}, row{0x00060fb1, 15, 0x6b},
             row{0x00830f10, 0x17, 0x31}, row{0x00b10f00, 0x1a, 0x10}, row{0x00000543, 5, 4}}) {
        CHECK(detail::decode_signature(eax).family == family);
        CHECK(detail::decode_signature(eax).model == model);
    }
}

TEST_CASE("signature_is_usable: what Linux reads topology leaves for") {
    CHECK(detail::signature_is_usable(cpu_vendor::amd, 0x00a00f11));
    CHECK(detail::signature_is_usable(cpu_vendor::amd, 0x00830f10));
    CHECK(detail::signature_is_usable(cpu_vendor::amd, 0x00b10f00));
    CHECK(!detail::signature_is_usable(cpu_vendor::amd, 0x00800f12));
    CHECK(!detail::signature_is_usable(cpu_vendor::amd, 0x00060fb1));
    CHECK(detail::signature_is_usable(cpu_vendor::intel, 0x000806f8));
    CHECK(detail::signature_is_usable(cpu_vendor::intel, 0x00400f00)); // family 19
    CHECK(!detail::signature_is_usable(cpu_vendor::intel, 0x00000f29));
}

TEST_CASE("cache_leaves: sizes multiply out, and fields that are too small are full, not wrapped") {
    topology const wide{1, 1, 252, 1};
    detail::cpu_identity const id{wide, apic_layout_of(wide, {8}), 0, {}};
    auto const leaves = detail::cache_leaves(id, true);
    REQUIRE(leaves.size() == detail::guest_caches.size() + 1);
    for (std::size_t i = 0; i < detail::guest_caches.size(); ++i) {
        auto const line = (leaves[i].ebx & 0xfff) + 1;
        auto const ways = (leaves[i].ebx >> 22) + 1;
        CHECK(line * ways * (leaves[i].ecx + 1) == detail::guest_caches[i].kib * 1024);
        CHECK((leaves[i].eax >> 5 & 7) == detail::guest_caches[i].level);
        CHECK((leaves[i].eax >> 26) == 63);
    }
    CHECK((leaves[3].eax >> 14 & 0xfff) == 2047);
    CHECK((leaves[2].eax >> 14 & 0xfff) == 7);
    CHECK(leaves.back() == cpuid_regs{});
}

TEST_CASE("leaf_1f: dies only where a package has several LLCs") {
    topology const one{2, 2, 4, 2};
    detail::cpu_identity const id{one, apic_layout_of(one), 9, place_of(one, 9)};
    auto const leaf = detail::leaf_1f(id);
    REQUIRE(leaf.size() == 3);
    CHECK(leaf[1] == cpuid_regs{3, 8, 0x201, 9});
    CHECK(leaf[2] == cpuid_regs{0, 0, 2, 9});
}

TEST_CASE("leaf_8000001e: cores are counted through the package") {
    topology const t{2, 4, 3, 2};
    detail::cpu_identity const id{t, apic_layout_of(t), apic_id(t, 23), place_of(t, 23)};
    CHECK(detail::leaf_8000001e(id) == cpuid_regs{apic_id(t, 23), 0x0105, 1, 0});
}

TEST_CASE("amd_ways_code: APM table E-4") {
    CHECK(detail::amd_ways_code(16) == 8);
    CHECK(detail::amd_ways_code(8) == 6);
    CHECK(detail::amd_ways_code(2) == 2);
}
