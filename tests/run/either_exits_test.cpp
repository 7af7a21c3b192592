// SPDX-License-Identifier: Apache-2.0
#include "ktstr/run/either_exits.hpp"

#include "ktstr/arch/x86_64/x86_64.hpp"
#include "ktstr/run/exit_table.hpp"
#include "suites/exit_policy_suite.hpp"

#include <array>
#include <doctest/doctest.h>

using namespace ktstr;

namespace {
struct counting : exit_defaults<x86_64> {
    unsigned count = 0;
    exit_verdict seen() noexcept {
        ++count;
        return {};
    }
    exit_verdict on_pio_in(pio_exit const&) noexcept { return seen(); }
    exit_verdict on_pio_out(pio_exit const&) noexcept { return seen(); }
    exit_verdict on_mmio_read(mmio_exit const&) noexcept { return seen(); }
    exit_verdict on_mmio_write(mmio_exit const&) noexcept { return seen(); }
    exit_verdict on_halt(halt_exit const&) noexcept { return seen(); }
    exit_verdict on_shutdown(shutdown_exit const& e) noexcept {
        ++count;
        return exit_defaults::on_shutdown(e);
    }
    exit_verdict on_system_event(system_event_exit const&) noexcept { return seen(); }
    exit_verdict on_fail_entry(fail_entry_exit const& e) noexcept {
        ++count;
        return exit_defaults::on_fail_entry(e);
    }
    exit_verdict on_internal_error(internal_error_exit const& e) noexcept {
        ++count;
        return exit_defaults::on_internal_error(e);
    }
    exit_verdict on_debug(debug_exit const&) noexcept { return seen(); }
    exit_verdict on_unknown(unknown_exit const&) noexcept { return seen(); }
};
struct other : counting {};
using either = either_exits<counting, other>;

/// Default-made, as the suite wants its policies.
struct as_first : either {
    counting policy;
    as_first() : either(policy) {}
};
struct as_second : either {
    other policy;
    as_second() : either(policy) {}
};

template <class P>
unsigned each_once(P& p) {
    std::array<std::byte, 4> data{};
    p.on_pio_in({0x60, 1, std::span(data).first(1)});
    p.on_pio_out({0x60, 1, std::span(data).first(1)});
    p.on_mmio_read({gpa{0}, data});
    p.on_mmio_write({gpa{0}, data});
    p.on_halt({});
    p.on_shutdown({});
    p.on_system_event({});
    p.on_fail_entry({});
    p.on_internal_error({});
    p.on_debug({});
    p.on_unknown({});
    return p.policy.count;
}
} // namespace

TEST_CASE_TEMPLATE_INVOKE(exit_policy_suite, as_first, as_second);

TEST_CASE("either_exits: every kind goes to the one it was made with") {
    as_first first;
    CHECK(each_once(first) == 11);
    as_second second;
    CHECK(each_once(second) == 11);
}
