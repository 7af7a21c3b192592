// SPDX-License-Identifier: Apache-2.0
#include "ktstr/virtio/console/port_host.hpp"

#include "suites/port_host_suite.hpp"

#include <doctest/doctest.h>

using namespace ktstr;

TEST_CASE_TEMPLATE_INVOKE(port_host_suite, null_port_host);

namespace {
struct paced : null_port_host {
    bool ready_for(std::uint32_t) noexcept { return false; }
};
} // namespace
static_assert(PacedPortHost<paced> && !PacedPortHost<null_port_host>);
