// SPDX-License-Identifier: Apache-2.0
#include "ktstr/snapshot/kept_header.hpp"

#include "snapshot/sample_machine.hpp"

using namespace ktstr;

TEST_CASE("kept_header: owns what a header points to") {
    kept_header kept;
    {
        test::sample_machine machine;
        kept = kept_header::from(machine.header());
    }
    test::sample_machine again;
    test::check_same(kept.view(), again.header());
}

TEST_CASE("kept_header: the header block goes through bytes, and every cut of it is refused") {
    test::sample_machine machine;
    auto const raw = encode_header(machine.header());
    auto back = decode_header(raw);
    REQUIRE(back);
    CHECK(back->vcpus.empty());
    CHECK(back->vmcoreinfo.empty());
    back->vcpus = machine.cpus;
    back->vmcoreinfo = machine.vmcoreinfo;
    test::check_same(back->view(), machine.header());
    for (std::size_t n = 0; n < raw.size(); ++n)
        CHECK_FALSE(decode_header(std::span(raw).first(n)));
    auto longer = raw;
    longer.push_back({});
    CHECK_FALSE(decode_header(longer));
}

TEST_CASE("kept_header: the vCPU block goes through bytes") {
    auto cpu = test::sample_machine::cpu(3);
    cpu.presence = vcpu_presence::missing;
    auto raw = encode_vcpu(cpu);
    auto const back = decode_vcpu(raw);
    REQUIRE(back);
    CHECK(*back == cpu);
    raw[8] = std::byte{3}; // presence beyond its last
    CHECK(decode_vcpu(raw).error().code == errc::bad_format);
}

TEST_CASE("kept_header: RAM that overlaps, is empty, unsorted or too high is refused") {
    auto const region = [](std::uint64_t at, std::uint64_t n) { return ram_region{{gpa{at}, bytes{n}}, 0, bytes{0}}; };
    CHECK(check_regions({}));
    std::vector<ram_region> good{region(0, 4096), region(4096, 4096), region((1ULL << 52) - 4096, 4096)};
    CHECK(check_regions(good));
    CHECK(is_ram(good, gpa{0}, 8192));
    CHECK_FALSE(is_ram(good, gpa{0}, 8193));
    CHECK_FALSE(is_ram(good, gpa{8192}, 1));
    CHECK(find_region(good, gpa{8191}) == &good[1]);
    CHECK(find_region(good, gpa{8192}) == nullptr);
    for (auto const& bad : {std::vector{region(0, 4096), region(4095, 1)}, std::vector{region(0, 0)},
                            std::vector{region(8192, 1), region(0, 1)}, std::vector{region((1ULL << 52) - 1, 2)}})
        CHECK(check_regions(bad).error().code == errc::bad_format);
}
