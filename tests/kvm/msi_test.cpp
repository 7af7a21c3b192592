// SPDX-License-Identifier: Apache-2.0
// Message-signalled interrupts reach the local APIC that they name.
#include "ktstr/kvm/x86_64/msi.hpp"

#include "ktstr/abi/kvm.hpp"
#include "ktstr/kvm/system.hpp"
#include "suites/msi_sink_suite.hpp"

#include <cstring>
#include <doctest/doctest.h>

using namespace ktstr;

namespace {
/// A machine with one CPU whose APIC is on; its other end is the APIC's request register.
struct probe {
    kvm::hypervisor hypervisor = kvm::hypervisor::open().value();
    kvm::vm vm = hypervisor.create_vm({}).value();
    kvm::vcpu cpu = vm.create_vcpu(vcpu_index{0}, 0).value();
    kvm::msi_port port = kvm::msi_port::of(vm).value();

    probe() { clear(); }
    kvm::msi_port& sink() { return port; }
    std::uint64_t expected(std::uint64_t n) { return n > 0 ? 1 : 0; } // vectors merge
    std::uint64_t arrived() {
        bool const there = requested(0x41);
        clear();
        return there ? 1 : 0;
    }

    static std::uint32_t word(kvm_lapic_state const& s, std::size_t at) {
        std::uint32_t out = 0;
        std::memcpy(&out, s.regs + at, sizeof out);
        return out;
    }
    bool requested(unsigned vector) {
        kvm_lapic_state s{};
        REQUIRE(kvm::ioctl_struct(cpu.fd(), KVM_GET_LAPIC, s, "KVM_GET_LAPIC"));
        return (word(s, 0x200 + vector / 32 * 0x10) >> (vector % 32) & 1) != 0;
    }
    /// No vector requested, and the APIC enabled by software.
    void clear() {
        kvm_lapic_state s{};
        REQUIRE(kvm::ioctl_struct(cpu.fd(), KVM_GET_LAPIC, s, "KVM_GET_LAPIC"));
        std::memset(s.regs + 0x200, 0, 0x80);
        std::uint32_t const on = 0x1ff;
        std::memcpy(s.regs + 0xf0, &on, sizeof on);
        REQUIRE(kvm::ioctl_struct(cpu.fd(), KVM_SET_LAPIC, s, "KVM_SET_LAPIC"));
    }
};
} // namespace

TEST_CASE_TEMPLATE_INVOKE(msi_sink_suite, probe);

TEST_CASE("msi_port: the destination decides, and only existing CPUs are interrupted") {
    probe p;
    p.port.send({0xfee01000, 0x41}); // CPU 1, which is not there
    CHECK_FALSE(p.requested(0x41));
    p.port.send({0xfee00000, 0x52});
    CHECK(p.requested(0x52));
    CHECK_FALSE(p.requested(0x41));
}

TEST_CASE("msi_port: a port of no machine is harmless") {
    kvm::msi_port nothing;
    nothing.send({0xfee00000, 0x41});
}

TEST_CASE("msi_destination: bits 8 to 14 of a wide id go to the upper half") {
    CHECK(kvm::msi_destination(0xfee01000) == 0xfee01000);
    CHECK(kvm::msi_destination(0xfee2c020) == 0x1'00'fee2c000); // id 0x12c
    CHECK(kvm::msi_destination(0xfeefffe0) == 0x7f'00'feeff000); // id 0x7fff
    CHECK(kvm::msi_destination(0xfee00030) == 0xfee00030);       // a remappable message has no id
}
