// SPDX-License-Identifier: Apache-2.0
#include "ktstr/kvm/system.hpp"

#include "suites/hypervisor_suite.hpp"

#include <array>

using namespace ktstr;

TEST_CASE("kvm::hypervisor: conforms") {
    alignas(4096) static std::array<std::byte, 4 * 4096> ram{};
    hypervisor_suite<kvm::hypervisor>({.irqchip = false}, ram);
}
