// SPDX-License-Identifier: Apache-2.0
/// \file
/// What every `Vcpu` and the `Hypervisor` that makes it must do. `F` is a fixture with `hypervisor_type`, a function
/// `options()` and a function `prepare(vm, memory)`, which maps `memory` at 0 with code that runs for ever from 0.
#pragma once

#include "ktstr/hv/hypervisor.hpp"

#include <array>
#include <cstddef>
#include <doctest/doctest.h>
#include <span>

TEST_CASE_TEMPLATE_DEFINE("Vcpu: an exit request made before a run keeps the guest out until it is cleared", F, vcpu_suite) {
    using namespace ktstr;
    static_assert(explain_hypervisor<typename F::hypervisor_type>());
    F fixture;
    auto hypervisor = F::hypervisor_type::open();
    REQUIRE(hypervisor);
    auto vm = hypervisor->create_vm(fixture.options());
    REQUIRE(vm);
    REQUIRE(vm->map(0, gpa{0}, fixture.memory()));
    auto cpu = vm->create_vcpu(vcpu_index{0}, 0);
    REQUIRE(cpu);

    auto regs = cpu->get_regs();
    REQUIRE(regs);
    REQUIRE(cpu->set_regs(*regs));
    auto const again = cpu->get_regs();
    REQUIRE(again);
    CHECK(*again == *regs);

    stop_on_all policy;
    for (int i = 0; i < 3; ++i) {
        cpu->request_exit();
        auto const r = cpu->run(policy);
        CHECK(r.status == run_status::interrupted);
        CHECK(r.kind == exit_kind::interrupted);
    }
    cpu->clear_exit_request();

    // Overlapping memory is refused, and the slot that exists survives.
    CHECK_FALSE(vm->map(1, gpa{0}, fixture.memory()));
    CHECK(vm->map(0, gpa{0}, {}));
}
