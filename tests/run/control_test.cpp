// SPDX-License-Identifier: Apache-2.0
#include "ktstr/run/control.hpp"

#include <doctest/doctest.h>
#include <string_view>

using namespace ktstr;

TEST_CASE("run_control: the first cause of a stop wins and is kept") {
    run_control control;
    CHECK_FALSE(control.stopping());
    CHECK(control.cause() == stop_cause::none);
    CHECK(control.request_stop(stop_cause::deadline));
    CHECK(control.stopping());
    CHECK_FALSE(control.request_stop(stop_cause::signal));
    CHECK(control.cause() == stop_cause::deadline);
}

TEST_CASE("run_control: the first end of the guest wins, with the vCPU that saw it") {
    run_control control;
    CHECK(control.end() == guest_end::none);
    CHECK(control.ended_by() == vcpu_index{0});
    control.note_end(guest_end::none, vcpu_index{7}); // a stop without a named end is a note too
    control.note_end(guest_end::reset_i8042, vcpu_index{3});
    CHECK(control.end() == guest_end::none);
    CHECK(control.ended_by() == vcpu_index{7});
    run_control wide;
    wide.note_end(guest_end::system_reset, vcpu_index{0xffffffff});
    CHECK(wide.end() == guest_end::system_reset);
    CHECK(wide.ended_by() == vcpu_index{0xffffffff});
}

TEST_CASE("names: one for each value; only a shutdown of the BSP is exit code 0") {
    CHECK(std::string_view(bsp_exit_reason_names[static_cast<std::size_t>(bsp_exit_reason::timeout)]) == "timeout");
    CHECK(std::string_view(guest_end_names[static_cast<std::size_t>(guest_end::system_reset)]) == "PSCI system reset");
    CHECK(std::string_view(stop_cause_names[static_cast<std::size_t>(stop_cause::died)]) == "thread died");
    CHECK(exit_code(bsp_exit_reason::shutdown) == 0);
    for (auto const r : {bsp_exit_reason::external_kill, bsp_exit_reason::fatal, bsp_exit_reason::run_error, bsp_exit_reason::timeout})
        CHECK(exit_code(r) == -1);
}
