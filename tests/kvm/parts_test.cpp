// SPDX-License-Identifier: Apache-2.0
// The thin layer over the kernel's interface: errors carry names and numbers, structures have their room.
#include "ktstr/kvm/ioctl.hpp"

#include "ktstr/abi/kvm.hpp"
#include "ktstr/kvm/native.hpp"
#include "ktstr/kvm/system.hpp"
#include "ktstr/kvm/vm.hpp"
#include "ktstr/kvm/x86_64/msrs.hpp"

#include <array>
#include <doctest/doctest.h>

using namespace ktstr;

namespace {
struct machine {
    kvm::hypervisor hypervisor = kvm::hypervisor::open().value();
    kvm::vm vm = hypervisor.create_vm({.irqchip = false}).value();
};
} // namespace

TEST_CASE("ioctl: a failure names the operation, its argument and the errno") {
    CHECK(kvm::ioctl_value(-1, KVM_GET_API_VERSION, 3, "KVM_GET_API_VERSION").error() ==
          error{errc::os, EBADF, 3, "KVM_GET_API_VERSION"});
    kvm_regs regs{};
    CHECK(kvm::ioctl_struct(-1, KVM_GET_REGS, regs, "KVM_GET_REGS").error().where == "KVM_GET_REGS");
}

TEST_CASE("fam_buffer: header and entries lie behind each other, with room for all of them") {
    kvm::fam_buffer<kvm_msrs, kvm_msr_entry> buffer(3);
    CHECK(reinterpret_cast<std::byte*>(buffer.entries()) - reinterpret_cast<std::byte*>(&buffer.header()) == sizeof(kvm_msrs));
    buffer.entries()[2].data = ~std::uint64_t{0};
    CHECK(buffer.header().nmsrs == 0);
    CHECK(buffer.entries()[2].data == ~std::uint64_t{0});
    kvm::fam_buffer<kvm_cpuid2, kvm_cpuid_entry2> none(0);
    CHECK(none.header().nent == 0);
}

TEST_CASE("vm: slots that overlap or are not aligned, and a second vCPU with the same id, are errors with names") {
    machine m;
    alignas(4096) static std::array<std::byte, 2 * 4096> ram{};
    REQUIRE(m.vm.map(0, gpa{0}, ram));
    CHECK(m.vm.map(1, gpa{4096}, std::span(ram).first(4096)).error().code == errc::already_exists);
    CHECK(m.vm.map(1, gpa{0x100001}, ram).error().where == "KVM_SET_USER_MEMORY_REGION");
    auto const first = m.vm.create_vcpu(vcpu_index{0}, 0);
    REQUIRE(first);
    CHECK(m.vm.create_vcpu(vcpu_index{1}, 0).error() == error{errc::already_exists, EEXIST, 0, "KVM_CREATE_VCPU"});
}

TEST_CASE("msrs: what is set is read back, and the register that is unknown is named") {
    machine m;
    auto const cpu = m.vm.create_vcpu(vcpu_index{0}, 0).value();
    constexpr std::uint32_t sysenter_cs = 0x174; // IA32_SYSENTER_CS, Intel SDM volume 4 table 2-2
    std::array const good{kvm::msr{sysenter_cs, 0x1230}};
    REQUIRE(kvm::set_msrs(cpu.fd(), good));
    CHECK(kvm::get_msr(cpu.fd(), sysenter_cs) == 0x1230);
    std::array const bad{kvm::msr{sysenter_cs, 0x4560}, kvm::msr{0x4fffff, 1}};
    CHECK(kvm::set_msrs(cpu.fd(), bad).error() == error{errc::unsupported, 0, 0x4fffff, "KVM_SET_MSRS"});
    CHECK(kvm::get_msr(cpu.fd(), sysenter_cs) == 0x4560); // those before it took effect
    CHECK(kvm::get_msr(cpu.fd(), 0x4fffff).error().where == "KVM_GET_MSRS");
}
