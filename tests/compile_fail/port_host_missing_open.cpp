// SPDX-License-Identifier: Apache-2.0
// A console cannot be made with a host that ignores opening and closing.
// EXPECT: PortHost: missing `void on_open(uint32_t, bool) noexcept`
#include "ktstr/virtio/console/device.hpp"

struct good_host {
    void on_output(std::uint32_t, std::span<std::byte const>) noexcept {}
    void on_open(std::uint32_t, bool) noexcept {}
};
struct bad_host {
    void on_output(std::uint32_t, std::span<std::byte const>) noexcept {}
};
static_assert(ktstr::explain_port_host<good_host>());
#ifdef KTSTR_EXPECT_FAIL
static_assert(ktstr::explain_port_host<bad_host>());
#endif
