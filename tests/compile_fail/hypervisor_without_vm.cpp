// SPDX-License-Identifier: Apache-2.0
// EXPECT: Hypervisor: missing `static result<H> open()`
#include "ktstr/hv/scripted.hpp"

struct closed_hypervisor {
    using vm_type = ktstr::scripted_vm;
    using vm_options = ktstr::scripted_hypervisor::vm_options;
    [[nodiscard]] ktstr::result<vm_type> create_vm(vm_options const&) { return vm_type{}; }
};
static_assert(ktstr::explain_hypervisor<ktstr::scripted_hypervisor>());
#ifdef KTSTR_EXPECT_FAIL
static_assert(ktstr::explain_hypervisor<closed_hypervisor>());
#endif
