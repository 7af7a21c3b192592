// SPDX-License-Identifier: Apache-2.0
#include "ktstr/virtio/console/port_host.hpp"

#include "ktstr/sys/mutex.hpp"
#include "suites/port_host_suite.hpp"

#include <cstddef>
#include <cstdint>
#include <doctest/doctest.h>
#include <span>
#include <vector>

using namespace ktstr;

namespace {
// [own_host]
/// Keeps the message channel's bytes for the supervisor, at most `limit` ahead of it; drops the terminal's output.
/// The supervisor takes bytes under `lock` and then calls the console's `resume_output(console_message_port)`.
struct bounded_host {
    static constexpr std::size_t limit = 1 << 20;
    mutex lock;
    std::vector<std::byte> waiting;
    bool open = false;

    void on_output(std::uint32_t port, std::span<std::byte const> data) noexcept {
        mutex_guard const hold(lock);
        if (port == 1)
            waiting.insert(waiting.end(), data.begin(), data.end());
    }
    void on_open(std::uint32_t port, bool now) noexcept {
        mutex_guard const hold(lock);
        if (port == 1)
            open = now;
    }
    bool ready_for(std::uint32_t) noexcept {
        mutex_guard const hold(lock);
        return waiting.size() < limit;
    }
};
static_assert(explain_port_host<bounded_host>() && PacedPortHost<bounded_host>);
// [/own_host]
} // namespace

static_assert(!PacedPortHost<null_port_host>);
TEST_CASE_TEMPLATE_INVOKE(port_host_suite, null_port_host, bounded_host);

TEST_CASE("PacedPortHost: asks the guest to wait once it is full") {
    bounded_host host;
    CHECK(host.ready_for(1));
    std::vector<std::byte> const much(bounded_host::limit);
    host.on_output(0, much);
    CHECK(host.ready_for(1));
    host.on_output(1, much);
    CHECK_FALSE(host.ready_for(1));
}
