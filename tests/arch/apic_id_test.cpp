// SPDX-License-Identifier: Apache-2.0
#include "ktstr/arch/x86_64/apic_id.hpp"
#include "ktstr/topo/presets.hpp"

#include <doctest/doctest.h>
#include <set>

using namespace ktstr;

static_assert(apic_id({1, 2, 4, 2}, 15) == 15);
static_assert(apic_id({1, 3, 3, 1}, 8) == 0b1010);

TEST_CASE("apic_id: fields are packed to whole bits") {
    topology const odd{2, 6, 3, 2}; // package 1 bit, llc 2 bits, core 2 bits, thread 1 bit
    CHECK(apic_layout_of(odd) == apic_layout{0, 1, 3, 5, 6});
    CHECK(apic_id(odd, 0) == 0);
    CHECK(apic_id(odd, 1) == 1);
    CHECK(apic_id(odd, 5) == 0b101);
    CHECK(apic_id(odd, 6) == 0b1000);
    CHECK(apic_id(odd, 18) == 0b100000);
    CHECK(apic_id(odd, 35) == 0b110101);
}

TEST_CASE("apic_id: unique, rising, and never the xAPIC broadcast") {
    for (auto const& each : presets())
        for (std::uint32_t const stride : {1U, 2U, 8U}) {
            CAPTURE(each.name);
            std::uint32_t last = 0;
            for (std::uint32_t cpu = 0; cpu < cpus(each.shape); ++cpu) {
                auto const id = apic_id(each.shape, cpu, {stride});
                CHECK(id != 255);
                CHECK(id % stride == 0);
                if (cpu > 0)
                    CHECK(id > last);
                last = id;
            }
            CHECK(last == max_apic_id(each.shape, {stride}));
        }
}

TEST_CASE("apic_id: which machines need x2APIC") {
    CHECK(!needs_x2apic({1, 15, 16, 1}));
    CHECK(needs_x2apic({1, 14, 18, 1})); // five core bits: LLC 13 starts at 416
    CHECK(max_apic_id({1, 14, 18, 1}) == 433);
    CHECK(!needs_x2apic({1, 1, 4, 1}));
    CHECK(needs_x2apic({1, 1, 4, 1}, {128}));
    CHECK(apic_id({1, 1, 4, 1}, 3, {128}) == 384);
}

TEST_CASE("apic_id: bad strides") {
    topology const four{1, 1, 4, 1};
    CHECK(validate(four, apic_id_options{1024}));
    CHECK(validate(four, apic_id_options{2048}).error() == error{errc::out_of_range, 0, 2048, "apic_id.stride"});
    CHECK(validate(four, apic_id_options{3}).error() == error{errc::invalid_argument, 0, 3, "apic_id.stride"});
    CHECK(validate(four, apic_id_options{0}).error().code == errc::invalid_argument);
}
