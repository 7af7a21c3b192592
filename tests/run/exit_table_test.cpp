// SPDX-License-Identifier: Apache-2.0
#include "ktstr/run/exit_table.hpp"

#include "ktstr/arch/x86_64/x86_64.hpp"
#include "suites/exit_policy_suite.hpp"

#include <doctest/doctest.h>

using namespace ktstr;

TEST_CASE("exit_table: each row stands at its own kind, for each architecture") {
    auto const check = [](auto const& table) {
        for (std::size_t i = 0; i < exit_kinds; ++i)
            CHECK(table[i].kind == static_cast<exit_kind>(i));
    };
    check(exit_table<x86_64>);
    check(exit_table<toy_arch>);
}

TEST_CASE("classify_port_write: only the architecture's own resets end the guest") {
    for (unsigned port = 0; port < 0x10000; port += port < 0x70 || port > 0xcf0 ? 1 : 0x20) {
        for (unsigned value = 0; value < 256; ++value) {
            auto const v = classify_port_write<x86_64>(static_cast<std::uint16_t>(port), static_cast<std::uint8_t>(value));
            bool const reset = (port == 0x64 && value == 0xfe) || (port == 0xcf9 && value == 6);
            if ((v.action == exit_action::shutdown) != reset)
                FAIL("port " << port << " value " << value);
            if (classify_port_write<toy_arch>(static_cast<std::uint16_t>(port), static_cast<std::uint8_t>(value)).action !=
                exit_action::resume)
                FAIL("toy port " << port);
        }
    }
}

TEST_CASE_TEMPLATE_INVOKE(exit_policy_suite, stop_on_all, exit_defaults<x86_64>, exit_defaults<toy_arch>);
