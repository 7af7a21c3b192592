// SPDX-License-Identifier: Apache-2.0
#include "ktstr/hv/scripted.hpp"

#include "suites/vcpu_suite.hpp"

#include <array>
#include <doctest/doctest.h>

using namespace ktstr;

namespace {
struct scripted_fixture {
    using hypervisor_type = scripted_hypervisor;
    std::array<std::byte, 4096> ram{};
    [[nodiscard]] scripted_hypervisor::vm_options options() const { return {}; }
    [[nodiscard]] std::span<std::byte> memory() { return ram; }
};
} // namespace

TEST_CASE_TEMPLATE_INVOKE(vcpu_suite, scripted_fixture);

TEST_CASE("scripted_vm: scripts belong to vCPUs by index") {
    auto hypervisor = scripted_hypervisor::open();
    REQUIRE(hypervisor);
    auto vm = hypervisor->create_vm({.scripts = {{}, {{.kind = exit_kind::halt}}}});
    REQUIRE(vm);
    auto cpu = vm->create_vcpu(vcpu_index{1}, 1);
    REQUIRE(cpu);
    stop_on_all policy;
    CHECK(cpu->run(policy).kind == exit_kind::halt);
    CHECK(cpu->runs() == 1);
}
