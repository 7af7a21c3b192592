// SPDX-License-Identifier: Apache-2.0
#include "ktstr/introspect/image_region.hpp"

#include "suites/fake_kernel.hpp"

#include <doctest/doctest.h>

using namespace ktstr;

TEST_CASE("loaded_regions: what a kernel's file brings into memory, at its virtual addresses") {
    auto const file = test::fake_elf{}.build();
    auto const regions = loaded_regions(file);
    REQUIRE(regions);
    REQUIRE(regions->size() == 2);
    CHECK(regions->at(0).address == gva{0xffffffff81000000});
    CHECK(regions->at(0).data.size() == 256);
    CHECK(regions->at(0).data[0] == std::byte{0xc3});
    CHECK(regions->at(1).address == gva{0xffffffff81200000});
    CHECK(regions->at(1).data.size() == 16);
    // Symbols of another architecture are read the same way.
    test::fake_elf arm;
    arm.machine = elf::em_aarch64;
    CHECK(loaded_regions(arm.build())->size() == 2);
}

TEST_CASE("loaded_regions: files that are none, and broken ones") {
    auto const good = test::fake_elf{}.build();
    auto const error_of = [](test::byte_vector const& file) {
        auto const out = loaded_regions(file);
        REQUIRE_FALSE(out);
        return out.error();
    };
    CHECK(error_of({}).where == "elf.magic");
    CHECK(error_of(test::byte_vector(64)).where == "elf.magic");
    auto other = good;
    other[4] = std::byte{1};
    CHECK(error_of(other).where == "elf.magic");
    CHECK_FALSE(is_elf_64(other));
    other = good;
    test::put_at(other, 54, le16{std::uint16_t{57}});
    CHECK(error_of(other).where == "elf.phentsize");
    other = good;
    test::put_at(other, 32, le64{good.size() - 111});
    CHECK(error_of(other).where == "elf.segments");
    other = good;
    test::put_at(other, sizeof(elf::ehdr) + 32, le64{good.size()});
    CHECK(error_of(other).where == "elf.segment");
    other = good;
    test::put_at(other, 56, le16{std::uint16_t{0}});
    CHECK(error_of(other).code == errc::not_found);
}

TEST_CASE("section_region: a section with its address, if it is loaded at all") {
    test::fake_elf kernel;
    kernel.sections = {{".comment", test::bytes_from("not loaded")}};
    auto const file = kernel.build();
    CHECK(section_region(file, ".comment").error().where == "elf.section_address");
    CHECK(section_region(file, ".rodata").error().code == errc::not_found);
}
