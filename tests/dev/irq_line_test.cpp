// SPDX-License-Identifier: Apache-2.0
#include "ktstr/dev/irq_line.hpp"

#include "suites/irq_line_suite.hpp"

#include <atomic>
#include <doctest/doctest.h>
#include <utility>

using namespace ktstr;

namespace {
struct null_probe {
    null_irq irq;
    null_irq& line() { return irq; }
    std::uint64_t arrived() { return 0; }
    std::uint64_t expected(std::uint64_t) { return 0; }
};
struct counting_probe {
    counting_irq irq;
    counting_irq& line() { return irq; }
    std::uint64_t arrived() { return std::exchange(irq.count, 0); }
    std::uint64_t expected(std::uint64_t n) { return n; }
};
struct eventfd_probe {
    eventfd_irq irq{unique_fd::eventfd().value()};
    eventfd_irq& line() { return irq; }
    std::uint64_t arrived() {
        std::uint64_t n = 0;
        return ::read(irq.fd(), &n, sizeof n) == sizeof n ? n : 0;
    }
    std::uint64_t expected(std::uint64_t n) { return n; }
};
// [own_line]
/// Remembers that there was an edge, for a loop that polls. Any thread may pulse.
struct latch_irq {
    std::atomic<bool> latched{false};
    void pulse() noexcept { latched.store(true, std::memory_order_release); }
};
static_assert(explain_irq_line<latch_irq>());
// [/own_line]
struct latch_probe {
    latch_irq irq;
    latch_irq& line() { return irq; }
    std::uint64_t arrived() { return irq.latched.exchange(false) ? 1 : 0; }
    std::uint64_t expected(std::uint64_t n) { return n > 0 ? 1 : 0; }
};
} // namespace

TEST_CASE_TEMPLATE_INVOKE(irq_line_suite, null_probe, counting_probe, eventfd_probe, latch_probe);

TEST_CASE("eventfd_irq: a default-made line and a full counter are harmless") {
    eventfd_irq nothing;
    CHECK(nothing.fd() == -1);
    nothing.pulse();
    eventfd_irq full{unique_fd::eventfd().value()};
    std::uint64_t const most = ~std::uint64_t{0} - 1;
    REQUIRE(::write(full.fd(), &most, sizeof most) == sizeof most);
    full.pulse(); // non-blocking: must return
    std::uint64_t n = 0;
    REQUIRE(::read(full.fd(), &n, sizeof n) == sizeof n);
    CHECK(n == most);
}
