// SPDX-License-Identifier: Apache-2.0
#include "ktstr/hv/hypervisor.hpp"

#include "ktstr/hv/scripted.hpp"
#include "suites/hypervisor_suite.hpp"

#include <array>

using namespace ktstr;

TEST_CASE("scripted_hypervisor: conforms") {
    alignas(4096) static std::array<std::byte, 4 * 4096> ram{};
    hypervisor_suite<scripted_hypervisor>({}, ram);
}
