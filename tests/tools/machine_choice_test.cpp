// SPDX-License-Identifier: Apache-2.0
#include "ktstr-run/machine_choice.hpp"

#include <doctest/doctest.h>

using namespace ktstr;
using namespace ktstr::tool;

TEST_CASE("machine_choice: every setting and state") {
    struct row {
        machine_wish setting;
        kvm_verdict kvm;
        bool lab;
        int expected; // 0 host, 1 lab, 77 problem
    };
    using enum machine_wish;
    using enum kvm_verdict;
    constexpr row rows[] = {
        {automatic, native, true, 0},
        {automatic, native, false, 0},
        {automatic, emulated, true, 1},
        {automatic, absent, true, 1},
        {automatic, forbidden, true, 1},
        {automatic, emulated, false, 77},
        {automatic, absent, false, 77},
        {automatic, forbidden, false, 77},
        {host, native, true, 0},
        {host, emulated, false, 0},
        {host, absent, true, 77},
        {host, forbidden, true, 77},
        {machine_wish::lab, native, true, 1},
        {machine_wish::lab, absent, true, 1},
        {machine_wish::lab, native, false, 77},
    };
    for (auto const& r : rows) {
        CAPTURE(static_cast<int>(r.setting));
        CAPTURE(static_cast<int>(r.kvm));
        auto const choice = choose_machine(r.setting, {r.kvm, "why", r.lab});
        if (r.expected == 77) {
            REQUIRE_FALSE(choice);
            CHECK(choice.error().code == exit_code::missing);
            CHECK_FALSE(choice.error().remedy.empty());
        } else {
            REQUIRE(choice);
            CHECK((choice->place == machine_kind::lab) == (r.expected == 1));
            CHECK(choice->why.starts_with("machine: "));
        }
    }
    CHECK(choose_machine(automatic, {emulated, "1500 ns a loop", true})->why.find("1500 ns a loop") !=
          std::string::npos);
}
