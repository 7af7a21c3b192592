// SPDX-License-Identifier: Apache-2.0
// What a guest's CPUID instruction really answers under KVM_SET_CPUID2: a tiny guest asks for every leaf we fill.
#include "ktstr/kvm/x86_64/cpuid.hpp"

#include "ktstr/runner/presets.hpp"

#include <array>
#include <cstdio>
#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace ktstr;

namespace {

struct question {
    std::uint32_t function;
    std::uint32_t index;
    cpuid_regs answer;
};
static_assert(sizeof(question) == 24);

constexpr std::uint16_t code_at = 0x1000;
constexpr std::uint16_t questions_at = 0x2000;

/// Real-mode code that answers `count` questions and ends by the i8042.
std::vector<std::uint8_t> asking(std::uint8_t count) {
    return {
        0xbe, 0x00, 0x20,       // mov si, 0x2000
        0xbd, count, 0x00,      // mov bp, count
        0x66, 0x8b, 0x04,       // mov eax, [si]
        0x66, 0x8b, 0x4c, 0x04, // mov ecx, [si+4]
        0x0f, 0xa2,             // cpuid
        0x66, 0x89, 0x44, 0x08, // mov [si+8], eax
        0x66, 0x89, 0x5c, 0x0c, // mov [si+12], ebx
        0x66, 0x89, 0x4c, 0x10, // mov [si+16], ecx
        0x66, 0x89, 0x54, 0x14, // mov [si+20], edx
        0x83, 0xc6, 0x18,       // add si, 24
        0x4d,                   // dec bp
        0x75, 0xe1,             // jnz: back to the first load
        0xba, 0x64, 0x00,       // mov dx, 0x64
        0xb0, 0xfe,             // mov al, 0xfe
        0xee,                   // out dx, al
    };
}

/// The answers that a guest gets which was given `entries`.
std::vector<question> ask(std::vector<cpuid_entry> const& entries, std::vector<question> questions) {
    auto r = runner::make(machine_shape{{{{gpa{0}, bytes{1 * MiB}}, 0, bytes{0}}}, {0}}, {.irqchip = false});
    REQUIRE(r);
    REQUIRE(kvm::set_cpuid(r->vcpu(0).fd(), entries));
    auto const code = asking(static_cast<std::uint8_t>(questions.size()));
    REQUIRE(write_guest(r->memory(), gpa{code_at}, std::as_bytes(std::span(code))));
    REQUIRE(write_guest(r->memory(), gpa{questions_at}, std::as_bytes(std::span(questions))));
    kvm_sregs s{};
    REQUIRE(kvm::ioctl_struct(r->vcpu(0).fd(), KVM_GET_SREGS, s, "KVM_GET_SREGS"));
    s.cs.base = 0;
    s.cs.selector = 0;
    REQUIRE(kvm::ioctl_struct(r->vcpu(0).fd(), KVM_SET_SREGS, s, "KVM_SET_SREGS"));
    x86_regs regs;
    regs.rip = code_at;
    REQUIRE(r->vcpu(0).set_regs(regs));
    exit_defaults<x86_64> exits;
    auto const end = r->run(exits, {monotonic_clock{}.now(), seconds(10), nanos{}});
    REQUIRE(end);
    REQUIRE(end->end == guest_end::reset_i8042);
    REQUIRE(read_guest(r->memory(), gpa{questions_at}, std::as_writable_bytes(std::span(questions))));
    return questions;
}

std::string text(cpuid_regs const& regs) {
    std::array<char, 40> out{};
    std::snprintf(out.data(), out.size(), "%08x %08x %08x %08x", regs.eax, regs.ebx, regs.ecx, regs.edx);
    return out.data();
}

} // namespace

TEST_CASE("a guest's CPUID answers what make_cpuid says, on the leaves of topology and vendor") {
    auto const system = kvm::hypervisor::open();
    REQUIRE(system);
    auto const supported = kvm::supported_cpuid(system->fd());
    REQUIRE(supported);
    CHECK(supported->size() > 10);
    for (auto const vendor : {cpu_vendor::intel, cpu_vendor::amd}) {
        CAPTURE(name_of(vendor));
        auto const entries = make_cpuid(*supported, {2, 4, 2, 2}, 13, {.vendor = vendor, .tsc_deadline = false}).value();
        std::vector<question> questions;
        for (auto const& each : entries)
            for (auto const leaf : {0x0U, 0x4U, 0xaU, 0xbU, 0x1fU, 0x40000000U, 0x80000000U, 0x80000005U, 0x80000006U, 0x8000001dU,
                     0x8000001eU, 0x80000026U})
                if (each.function == leaf)
                    questions.push_back({leaf, each.index, {}});
        REQUIRE(questions.size() < 40);
        for (auto const& asked : ask(entries, questions)) {
            CAPTURE(asked.function);
            CAPTURE(asked.index);
            for (auto const& each : entries)
                if (each.function == asked.function && each.index == asked.index)
                    CHECK(text(asked.answer) == text({each.eax, each.ebx, each.ecx, each.edx}));
        }
    }
}
