// SPDX-License-Identifier: Apache-2.0
/// \file
/// What every model of `Hypervisor` and its `Vm` does with memory slots and vCPUs.
#pragma once

#include "ktstr/hv/hypervisor.hpp"

#include <doctest/doctest.h>
#include <span>

/// `ram` is page-aligned host memory of at least four pages that outlives the call.
template <ktstr::Hypervisor H>
void hypervisor_suite(typename H::vm_options const& options, std::span<std::byte> ram) {
    using namespace ktstr;
    static_assert(explain_hypervisor<H>());
    constexpr std::size_t page = 4096;
    REQUIRE(ram.size() >= 4 * page);
    auto hypervisor = H::open();
    REQUIRE(hypervisor);
    auto vm = hypervisor->create_vm(options);
    REQUIRE(vm);

    CHECK(vm->map(0, gpa{0}, ram.first(2 * page)));
    CHECK(vm->map(1, gpa{0x100000}, ram.subspan(2 * page, page)));
    CHECK_FALSE(vm->map(2, gpa{page}, ram.subspan(3 * page, page)));    // overlaps slot 0
    CHECK(vm->map(2, gpa{2 * page}, ram.subspan(3 * page, page)));      // touches it
    CHECK(vm->map(0, gpa{0}, {}));                                      // gone
    CHECK(vm->map(3, gpa{page}, ram.first(page)));                      // the room is free again

    auto first = vm->create_vcpu(vcpu_index{0}, 0);
    REQUIRE(first);
    auto second = vm->create_vcpu(vcpu_index{1}, 1);
    REQUIRE(second);
    auto another = hypervisor->create_vm(options); // machines of one hypervisor are strangers
    REQUIRE(another);
    CHECK(another->map(0, gpa{0}, ram.first(page)));
    CHECK(another->create_vcpu(vcpu_index{0}, 0));
}
