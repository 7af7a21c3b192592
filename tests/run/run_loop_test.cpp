// SPDX-License-Identifier: Apache-2.0
#include "ktstr/run/run_loop.hpp"

#include "ktstr/arch/x86_64/x86_64.hpp"
#include "ktstr/hv/scripted.hpp"
#include "ktstr/run/exit_table.hpp"

#include <cerrno>
#include <doctest/doctest.h>
#include <vector>

using namespace ktstr;

namespace {

struct played {
    loop_end end;
    run_control control;
    exit_counts counts;
    std::vector<std::uint64_t> answers;
};

/// Plays `steps` through the loop with the default policy of x86_64.
void play(played& out, std::vector<scripted_step> steps) {
    scripted_vcpu cpu(std::move(steps));
    exit_defaults<x86_64> policy;
    out.end = run_loop(cpu, policy, out.counts, out.control, vcpu_index{3});
    out.answers = cpu.answers();
}

scripted_step out_byte(std::uint64_t port, std::uint64_t value) {
    return {.kind = exit_kind::pio_out, .address = port, .value = value};
}

} // namespace

TEST_CASE("run_loop: the i8042 reset is an orderly shutdown, seen by this vCPU") {
    played p;
    play(p, {{.kind = exit_kind::halt}, out_byte(0x64, 0xfe)});
    CHECK(p.end.reason == bsp_exit_reason::shutdown);
    CHECK(exit_code(p.end.reason) == 0);
    CHECK(p.control.cause() == stop_cause::guest);
    CHECK(p.control.end() == guest_end::reset_i8042);
    CHECK(p.control.ended_by() == vcpu_index{3});
    CHECK(p.counts.counts[static_cast<std::size_t>(exit_kind::halt)] == 1);
    CHECK(p.counts.counts[static_cast<std::size_t>(exit_kind::pio_out)] == 1);
}

TEST_CASE("run_loop: every end of the guest is told apart") {
    struct row {
        scripted_step step;
        bsp_exit_reason reason;
        stop_cause cause;
        guest_end end;
    };
    row const rows[] = {
        {out_byte(0xcf9, 6), bsp_exit_reason::shutdown, stop_cause::guest, guest_end::reset_acpi},
        {{.kind = exit_kind::shutdown}, bsp_exit_reason::shutdown, stop_cause::guest, guest_end::triple_fault},
        {{.kind = exit_kind::system_event, .value = 1}, bsp_exit_reason::shutdown, stop_cause::guest, guest_end::system_off},
        {{.kind = exit_kind::system_event, .value = 2}, bsp_exit_reason::shutdown, stop_cause::guest, guest_end::system_reset},
        {{.kind = exit_kind::fail_entry, .value = 7}, bsp_exit_reason::fatal, stop_cause::fatal, guest_end::none},
        {{.kind = exit_kind::internal_error, .value = 1}, bsp_exit_reason::fatal, stop_cause::fatal, guest_end::none},
        {{.kind = exit_kind::unknown, .os_errno = EFAULT}, bsp_exit_reason::run_error, stop_cause::run_error, guest_end::none},
    };
    for (auto const& r : rows) {
        played p;
        play(p, {r.step});
        CHECK(p.end.reason == r.reason);
        CHECK(p.control.cause() == r.cause);
        CHECK(p.control.end() == r.end);
        if (r.step.os_errno != 0)
            CHECK(p.end.os_errno == EFAULT);
    }
}

TEST_CASE("run_loop: what no device answers resumes, reads give ones, interruptions are retried") {
    played p;
    play(p, {{.kind = exit_kind::pio_in, .address = 0x42, .size = 2},
             {.kind = exit_kind::mmio_read, .address = 0xd0000000, .size = 8},
             {.kind = exit_kind::mmio_write, .address = 0xd0000000, .value = 1, .size = 4},
             {.os_errno = EINTR},
             {.os_errno = EAGAIN},
             {.kind = exit_kind::unknown, .value = 99},
             {.kind = exit_kind::debug},
             {.kind = exit_kind::system_event, .value = 3},
             out_byte(0x64, 0x60),
             out_byte(0x64, 0xfe)});
    CHECK(p.end.reason == bsp_exit_reason::shutdown);
    REQUIRE(p.answers.size() == 2);
    CHECK(p.answers[0] == 0xffff);
    CHECK(p.answers[1] == ~std::uint64_t{0});
    CHECK(p.counts.counts[static_cast<std::size_t>(exit_kind::interrupted)] == 2);
    CHECK(p.counts.counts[static_cast<std::size_t>(exit_kind::unknown)] == 1);
}

TEST_CASE("run_loop: a stop that came before the first run is obeyed, and the default reason is external_kill") {
    played p;
    p.control.request_stop(stop_cause::supervisor);
    play(p, {out_byte(0x64, 0xfe)});
    CHECK(p.end.reason == bsp_exit_reason::external_kill);
    CHECK(exit_code(p.end.reason) == -1);
    CHECK(p.control.end() == guest_end::none);
}

TEST_CASE("run_control: the first cause and the first end win") {
    run_control c;
    CHECK_FALSE(c.stopping());
    CHECK(c.request_stop(stop_cause::deadline));
    CHECK_FALSE(c.request_stop(stop_cause::guest));
    CHECK(c.cause() == stop_cause::deadline);
    c.note_end(guest_end::power_off, vcpu_index{9});
    c.note_end(guest_end::triple_fault, vcpu_index{1});
    CHECK(c.end() == guest_end::power_off);
    CHECK(c.ended_by() == vcpu_index{9});
}
