// SPDX-License-Identifier: Apache-2.0
/// \file
/// What every `ExitPolicy` must do, whatever it decides: answer each kind, and end the machine on what none survives.
#pragma once

#include "ktstr/hv/exit_policy.hpp"

#include <array>
#include <cstddef>
#include <doctest/doctest.h>
#include <span>

TEST_CASE_TEMPLATE_DEFINE("ExitPolicy: every kind has an answer; failures are fatal; a triple fault is named", P,
                          exit_policy_suite) {
    using namespace ktstr;
    static_assert(explain_exit_policy<P>());
    P policy{};
    std::array<std::byte, 4> data{};
    auto const untouched = std::array<std::byte, 4>{};
    CHECK(policy.on_fail_entry(fail_entry_exit{1, 0}).action == exit_action::fatal);
    CHECK(policy.on_internal_error(internal_error_exit{1, {}, 0}).action == exit_action::fatal);
    CHECK(policy.on_shutdown(shutdown_exit{}) == exit_verdict{exit_action::shutdown, guest_end::triple_fault});
    CHECK(policy.on_pio_out(pio_exit{0x80, 1, std::span(data).first(1)}).action != exit_action::fatal);
    CHECK(policy.on_mmio_write(mmio_exit{gpa{0xd0000000}, data}).action != exit_action::fatal);
    CHECK(data == untouched); // a write hands bytes to the policy; it has no business changing them
    CHECK(policy.on_halt(halt_exit{}).action != exit_action::fatal);
    CHECK(policy.on_debug(debug_exit{}).action != exit_action::fatal);
    CHECK(policy.on_unknown(unknown_exit{}).action != exit_action::fatal);
}
