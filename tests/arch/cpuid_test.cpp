// SPDX-License-Identifier: Apache-2.0
#include "ktstr/arch/x86_64/cpuid.hpp"
#include "ktstr/topo/presets.hpp"

#include "arch/linux_topology.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace ktstr;
using namespace ktstr::test;

namespace {

/// A host as KVM describes it: the leaves that matter, with its own topology in them.
std::vector<cpuid_entry> host(std::string_view vendor, std::uint32_t signature, std::uint32_t top, std::uint32_t extended_top) {
    auto const a = cpuid_chars(vendor.substr(0, 4));
    auto const b = cpuid_chars(vendor.substr(4, 4));
    auto const c = cpuid_chars(vendor.substr(8, 4));
    return {
        {0, 0, 0, top, a, c, b},
        {1, 0, 0, signature, 0x55400800, 0xfffa3223 & ~(1U << 31), 0x1783fbff},
        {2, 0, 0, 0x00feff01, 0, 0, 0},
        {4, 0, 1, 0xfc004121, 0x01c0003f, 0x3f, 0},
        {7, 0, 1, 1, 0xffffffff, 0xffffffff, 0xffffffff},
        {7, 1, 1, 0x20, 0, 0, 0},
        {0xa, 0, 0, 0x07300802, 0, 0, 0x603},
        {0xb, 0, 1, 0, 1, 0x100, 77},
        {0xb, 1, 1, 4, 16, 0x201, 77},
        {0xd, 0, 1, 7, 0x340, 0x340, 0},
        {0x1f, 0, 1, 0, 1, 0x100, 77},
        {0x40000000, 0, 0, 0x40000001, cpuid_chars("KVMK"), cpuid_chars("VMKV"), cpuid_chars("M")},
        {0x40000001, 0, 0, 0x01007efb, 0, 0, 0},
        {0x80000000, 0, 0, extended_top, a, c, b},
        {0x80000001, 0, 0, signature, 0, 0xffffffff, 0xffffffff},
        {0x80000002, 0, 0, cpuid_chars("host"), 0, 0, 0},
        {0x80000005, 0, 0, 0xff48ff40, 0xff48ff40, 0x20080140, 0x20080140},
        {0x80000008, 0, 0, 0x3030, 0x1001000, 0x700f, 0x10007},
        {0x8000000a, 0, 0, 1, 8, 0, 0xff},
        {0x8000001d, 0, 1, 0x4121, 0x01c0003f, 0x3f, 0},
        {0x8000001e, 0, 0, 77, 0x101, 0x302, 0},
        {0x80000021, 0, 0, 0x45, 0, 0, 0},
        {0xc0000000, 0, 0, 0xc0000001, 0, 0, 0},
    };
}
std::vector<cpuid_entry> intel_host() { return host("GenuineIntel", 0x000606a6, 0x1b, 0x80000008); }
std::vector<cpuid_entry> amd_host() { return host("AuthenticAMD", 0x00a10f11, 0x10, 0x80000021); }
std::vector<cpuid_entry> emulated_host() { return host("AuthenticAMD", 0x00060fb1, 0xd, 0x8000000a); }

guest_cpuid guest(std::vector<cpuid_entry> const& from, topology const& t, std::uint32_t cpu, cpuid_options const& options = {}) {
    return guest_cpuid(make_cpuid(from, t, cpu, options).value());
}

void check_shape(topology const& t, cpu_vendor vendor, apic_id_options ids, kernel_age age) {
    std::vector<linux_cpu> seen;
    for (std::uint32_t cpu = 0; cpu < cpus(t); ++cpu)
        seen.push_back(linux_parse(guest(emulated_host(), t, cpu, {.vendor = vendor, .ids = ids}), age));
    for (std::uint32_t a = 0; a < seen.size(); ++a) {
        auto const pa = place_of(t, a);
        REQUIRE(seen[a].apic == apic_id(t, a, ids));
        REQUIRE(seen[a].smt_count == t.threads);
        REQUIRE(seen[a].package == pa.node);
        REQUIRE(seen[a].caches == 4);
        REQUIRE((seen[a].groups || cpus_per_node(t) == 1));
        std::uint32_t wrong = 0; // pairs that the kernel groups differently: counted, as there are 63504 in the largest machine
        for (std::uint32_t b = 0; b < seen.size(); ++b) {
            auto const pb = place_of(t, b);
            bool const same_core = pa.llc == pb.llc && pa.core == pb.core;
            wrong += (seen[a].package == seen[b].package && seen[a].core == seen[b].core) != same_core ? 1U : 0U;
            wrong += (seen[a].llc == seen[b].llc) != (pa.llc == pb.llc) ? 1U : 0U;
            wrong += (seen[b].apic >= seen[a].l2_first && seen[b].apic <= seen[a].l2_last) != same_core ? 1U : 0U;
        }
        CAPTURE(a);
        REQUIRE(wrong == 0);
    }
}

} // namespace

TEST_CASE("make_cpuid: old and new kernels of both vendors see each preset's topology") {
    for (auto const& each : presets())
        for (auto const vendor : {cpu_vendor::intel, cpu_vendor::amd})
            for (auto const age : {kernel_age::old, kernel_age::recent}) {
                CAPTURE(each.name);
                CAPTURE(name_of(vendor));
                check_shape(each.shape, vendor, {}, age);
            }
}

TEST_CASE("make_cpuid: odd shapes and sparse ids are seen as well") {
    for (auto const& shape : {topology{3, 9, 3, 3}, topology{1, 1, 1, 5}, topology{5, 5, 7, 1}, topology{1, 1, 252, 1},
             topology{64, 64, 1, 1}, topology{2, 6, 3, 2}})
        for (auto const vendor : {cpu_vendor::intel, cpu_vendor::amd})
            for (auto const age : {kernel_age::old, kernel_age::recent})
                check_shape(shape, vendor, {}, age);
    for (auto const& shape : {topology{1, 1, 4, 1}, topology{2, 2, 2, 2}, topology{1, 2, 1, 3}})
        for (std::uint32_t const stride : {2U, 128U, 256U})
            for (auto const vendor : {cpu_vendor::intel, cpu_vendor::amd})
                for (auto const age : {kernel_age::old, kernel_age::recent})
                    check_shape(shape, vendor, {stride}, age);
}

TEST_CASE("make_cpuid: golden Intel leaves of 2n4l2c2t, CPU 13") {
    auto const cpuid = guest(intel_host(), {2, 4, 2, 2}, 13);
    // id: package 1, llc 1, core 0, thread 1
    CHECK(cpuid(0) == cpuid_regs{0x1f, 0x756e6547, 0x6c65746e, 0x49656e69});
    CHECK(cpuid(1).eax == 0x000606a6);
    CHECK(cpuid(1).ebx == 0x0d080800);
    CHECK(cpuid(2) == cpuid_regs{0x00feff01, 0, 0, 0});
    CHECK(cpuid(4, 0) == cpuid_regs{0x0c004121, 0x01c0003f, 63, 0});
    CHECK(cpuid(4, 1) == cpuid_regs{0x0c004122, 0x01c0003f, 63, 0});
    CHECK(cpuid(4, 2) == cpuid_regs{0x0c004143, 0x01c0003f, 2047, 0});
    CHECK(cpuid(4, 3) == cpuid_regs{0x0c00c163, 0x03c0003f, 16383, 1});
    CHECK(cpuid(4, 4) == cpuid_regs{});
    CHECK(cpuid(0xa) == cpuid_regs{});
    CHECK(cpuid(0xb, 0) == cpuid_regs{1, 2, 0x100, 13});
    CHECK(cpuid(0xb, 1) == cpuid_regs{3, 8, 0x201, 13});
    CHECK(cpuid(0xb, 2) == cpuid_regs{0, 0, 2, 13});
    CHECK(cpuid(0x1f, 0) == cpuid_regs{1, 2, 0x100, 13});
    CHECK(cpuid(0x1f, 1) == cpuid_regs{2, 4, 0x201, 13});
    CHECK(cpuid(0x1f, 2) == cpuid_regs{3, 8, 0x502, 13});
    CHECK(cpuid(0x1f, 3) == cpuid_regs{0, 0, 3, 13});
    CHECK(cpuid(0x80000000).eax == 0x80000008);
    CHECK(cpuid(0x80000001) == cpuid_regs{0, 0, 0x121, 0x2c100800});
    CHECK(cpuid(0x80000002).eax == cpuid_chars("host"));
    CHECK(cpuid(0x80000005) == cpuid_regs{});
    CHECK(cpuid(0x80000006) == cpuid_regs{0, 0, 0x04006140, 0});
    CHECK(cpuid(0x80000008) == cpuid_regs{0x3030, 0x1001000, 0, 0});
    CHECK(cpuid(0x8000001d) == cpuid_regs{});
    CHECK(cpuid(0x8000001e) == cpuid_regs{});
    CHECK(cpuid(0x80000026) == cpuid_regs{});
}

TEST_CASE("make_cpuid: golden AMD leaves of 2n4l2c2t, CPU 13") {
    auto const cpuid = guest(amd_host(), {2, 4, 2, 2}, 13);
    CHECK(cpuid(0) == cpuid_regs{0x10, 0x68747541, 0x444d4163, 0x69746e65});
    CHECK(cpuid(1).eax == 0x00a10f11);
    CHECK(cpuid(1).ebx == 0x0d080800);
    CHECK(cpuid(2) == cpuid_regs{});
    CHECK(cpuid(4) == cpuid_regs{});
    CHECK(cpuid(0xb, 1) == cpuid_regs{3, 8, 0x201, 13});
    CHECK(cpuid(0x1f) == cpuid_regs{});
    CHECK(cpuid(0x80000000).eax == 0x80000026);
    CHECK((cpuid(0x80000001).ecx & (1U << 1 | 1U << 2 | 1U << 22 | 1U << 23)) == (1U << 1 | 1U << 22));
    CHECK(cpuid(0x80000005).ecx == 0x20080140);
    CHECK(cpuid(0x80000006).ecx == 0x04006140);
    CHECK(cpuid(0x80000006).edx == 0x00808140);
    CHECK(cpuid(0x80000008) == cpuid_regs{0x3030, 0x1001000, 0x3007, 0});
    CHECK(cpuid(0x8000001d, 0) == cpuid_regs{0x00004121, 0x01c0003f, 63, 0});
    CHECK(cpuid(0x8000001d, 3) == cpuid_regs{0x0000c163, 0x03c0003f, 16383, 1});
    CHECK(cpuid(0x8000001d, 4) == cpuid_regs{});
    CHECK(cpuid(0x8000001e) == cpuid_regs{13, 0x0102, 1, 0});
    CHECK(cpuid(0x80000026, 0) == cpuid_regs{1, 2, 0x100, 13});
    CHECK(cpuid(0x80000026, 1) == cpuid_regs{2, 4, 0x201, 13});
    CHECK(cpuid(0x80000026, 2) == cpuid_regs{2, 4, 0x302, 13});
    CHECK(cpuid(0x80000026, 3) == cpuid_regs{3, 8, 0x403, 13});
    CHECK(cpuid(0x80000026, 4) == cpuid_regs{0, 0, 4, 13});
    CHECK((cpuid(0x80000021).eax >> 29 & 1) == 0); // a real Zen keeps its own answers
}

TEST_CASE("make_cpuid: a part that kernels would misread becomes one they read from the leaves") {
    auto const amd = guest(emulated_host(), {1, 2, 2, 1}, 0);
    CHECK(amd(1).eax == 0x00a00f11);
    CHECK(amd(0x80000001).eax == 0x00a00f11);
    CHECK(amd(0x80000002).eax == cpuid_chars("ktst"));
    CHECK((amd(0x80000021).eax >> 29 & 1) == 1);
    auto const zen1 = guest(host("AuthenticAMD", 0x00800f12, 0xd, 0x8000001f), {1, 2, 2, 1}, 0);
    CHECK(zen1(1).eax == 0x00a00f11);
    CHECK((zen1(0x80000021).eax >> 29 & 1) == 0);
    auto const zen2 = guest(host("AuthenticAMD", 0x00830f10, 0x10, 0x8000001f), {1, 2, 2, 1}, 0);
    CHECK(zen2(1).eax == 0x00830f10);
    auto const intel = guest(emulated_host(), {1, 2, 2, 1}, 0, {.vendor = cpu_vendor::intel});
    CHECK(intel(1).eax == 0x000806f8);
    CHECK(intel(0).ebx == cpuid_chars("Genu"));
    CHECK(intel(0).eax == 0x1f);
    auto const other = guest(intel_host(), {1, 2, 2, 1}, 0, {.vendor = cpu_vendor::amd});
    CHECK(other(0).ebx == cpuid_chars("Auth"));
    CHECK(other(7).edx == (0xffffffff & ~(1U << 29 | 1U << 15 | 1U << 19)));
}

TEST_CASE("make_cpuid: the machine's own features") {
    auto const cpuid = guest(amd_host(), {1, 1, 1, 1}, 0);
    CHECK((cpuid(1).ecx >> 31 & 1) == 1);
    CHECK((cpuid(1).ecx >> 21 & 1) == 1);
    CHECK((cpuid(1).ecx >> 24 & 1) == 1);
    CHECK((cpuid(1).ecx >> 27 & 1) == 0);
    CHECK((guest(intel_host(), {1, 1, 1, 1}, 0)(1).ecx & (1U << 5 | 1U << 6)) == 0);
    CHECK((cpuid(1).edx >> 28 & 1) == 0);
    CHECK((cpuid(0x80000001).ecx >> 1 & 1) == 0);
    CHECK(cpuid(0x8000000a) == cpuid_regs{});
    CHECK(cpuid(0x40000000) == cpuid_regs{0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d});
    CHECK((cpuid(0x40000001).eax & kvm_feature_msi_ext_dest_id) == 0);
    auto const changed = guest(amd_host(), {1, 1, 2, 1}, 0,
                               {.tsc_deadline = false, .nested = true, .extended_destination = true, .hidden_kvm_features = 1U << 5});
    CHECK((changed(1).ecx >> 24 & 1) == 0);
    CHECK((changed(1).edx >> 28 & 1) == 1);
    CHECK((changed(0x80000001).ecx >> 2 & 1) == 1);
    CHECK(changed(0x8000000a).eax == 1);
    CHECK((changed(0x40000001).eax & kvm_feature_msi_ext_dest_id) != 0);
    CHECK((changed(0x40000001).eax >> 5 & 1) == 0);
    CHECK(guest(amd_host(), {1, 1, 1, 1}, 0, {.kvm_leaves = false})(0x40000000) == cpuid_regs{});
}

TEST_CASE("make_cpuid: sorted, unique, and within KVM's limit of 256 answers") {
    for (auto const vendor : {cpu_vendor::intel, cpu_vendor::amd}) {
        auto const made = make_cpuid(intel_host(), {1, 14, 9, 2}, 251, {.vendor = vendor}).value();
        CHECK(made.size() < 80);
        for (std::size_t i = 1; i < made.size(); ++i) {
            bool const rises = made[i - 1].function < made[i].function ||
                               (made[i - 1].function == made[i].function && made[i - 1].index < made[i].index);
            CHECK(rises);
        }
    }
}

TEST_CASE("make_cpuid: what cannot be answered") {
    CHECK(make_cpuid(amd_host(), {1, 3, 1, 1}, 3, {}).error() == error{errc::out_of_range, 0, 3, "cpuid.cpu"});
    CHECK(make_cpuid(amd_host(), {2, 3, 1, 1}, 0, {}).error().where == "topology.llcs_per_node");
    CHECK(make_cpuid(amd_host(), {1, 3, 1, 1}, 0, {.ids = {3}}).error().where == "apic_id.stride");
    CHECK(make_cpuid({}, {}, 0, {}).error() == error{errc::invalid_argument, 0, 0, "cpuid.host"});
    auto const strange = host("CentaurHauls", 0x6fa, 0xd, 0x80000008);
    CHECK(make_cpuid(strange, {}, 0, {}).error().where == "cpuid.vendor");
    CHECK(make_cpuid(strange, {}, 0, {.vendor = cpu_vendor::amd}));
}

TEST_CASE("parse_cpu_vendor: reads what name_of writes") {
    for (auto const vendor : {cpu_vendor::host, cpu_vendor::intel, cpu_vendor::amd})
        CHECK(parse_cpu_vendor(name_of(vendor)) == vendor);
    CHECK(!parse_cpu_vendor("AMD"));
}
