// SPDX-License-Identifier: Apache-2.0
#include "ktstr/kvm/system.hpp"

#include "suites/vcpu_suite.hpp"

#include <doctest/doctest.h>

using namespace ktstr;

namespace {
struct kvm_fixture {
    using hypervisor_type = kvm::hypervisor;
    mapping ram = std::move(*mapping::map(4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS));
    [[nodiscard]] kvm::vm_options options() const { return {.irqchip = false}; }
    [[nodiscard]] std::span<std::byte> memory() { return ram.span(); }
};
} // namespace

TEST_CASE_TEMPLATE_INVOKE(vcpu_suite, kvm_fixture);

TEST_CASE("connect_notify and connect_irq: a wrong descriptor is an error with the ioctl's name") {
    auto hypervisor = kvm::hypervisor::open();
    REQUIRE(hypervisor);
    auto vm = hypervisor->create_vm({});
    REQUIRE(vm);
    auto const irq = vm->connect_irq(gsi{5}, -1);
    REQUIRE_FALSE(irq);
    CHECK(irq.error().where == "KVM_IRQFD");
    auto const notify = vm->connect_notify(gpa{0xc0000050}, 4, 0, -1);
    REQUIRE_FALSE(notify);
    CHECK(notify.error().where == "KVM_IOEVENTFD");
}
