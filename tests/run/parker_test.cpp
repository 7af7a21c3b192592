// SPDX-License-Identifier: Apache-2.0
#include "ktstr/run/parker.hpp"

#include "ktstr/arch/x86_64/x86_64.hpp"
#include "ktstr/hv/scripted.hpp"
#include "ktstr/run/exit_table.hpp"
#include "ktstr/run/run_loop.hpp"

#include <array>
#include <doctest/doctest.h>
#include <span>
#include <string>
#include <vector>

using namespace ktstr;

namespace {

/// Writes down what the loop asks of it; wants something once, at the `at`-th question.
struct diary {
    static constexpr bool enabled = true;
    std::string* pages;
    int at;
    void entering() noexcept { *pages += 'e'; }
    void returned() noexcept { *pages += 'r'; }
    bool wanted() noexcept { return at-- == 0; }
    void park() noexcept { *pages += 'P'; }
    void settle() noexcept { *pages += 'S'; }
    void await() noexcept { *pages += 'A'; }
    void ended() noexcept { *pages += 'x'; }
};
static_assert(Parker<diary>);

std::string diary_of(std::vector<scripted_step> steps, int at) {
    std::string pages;
    steps.push_back({.kind = exit_kind::shutdown});
    scripted_vcpu cpu(std::move(steps));
    exit_defaults<x86_64> policy;
    exit_counts stats;
    run_control control;
    auto const end = run_loop(cpu, policy, stats, control, vcpu_index{0}, diary{&pages, at});
    CHECK(end.reason == bsp_exit_reason::shutdown);
    return pages;
}

} // namespace

TEST_CASE("run_loop: with nothing pending the vCPU parks between two runs") {
    CHECK(diary_of({{.kind = exit_kind::halt}}, 1) == "erPer");
    CHECK(diary_of({{.os_errno = EINTR}}, 1) == "ePer");
}

TEST_CASE("run_loop: what a write left pending is completed by one more run before the park") {
    // The run after S is interrupted (its exit was requested), so nothing is handled in it.
    CHECK(diary_of({{.kind = exit_kind::pio_out, .address = 0x80}}, 1) == "erSeer");
}

TEST_CASE("run_loop: completing a read may write memory, so the status stays where it is until that is done") {
    CHECK(diary_of({{.kind = exit_kind::mmio_read, .address = 0xd0000000, .size = 4}}, 99) == "err");
    CHECK(diary_of({{.kind = exit_kind::pio_in, .address = 0x80}}, 1) == "erSer");
}

TEST_CASE("parked_exits: hands every exit on, after telling the parker") {
    std::string pages;
    diary park{&pages, 99};
    stop_on_all inner;
    parked_exits<stop_on_all, diary> policy(inner, park);
    static_assert(ExitPolicy<parked_exits<stop_on_all, diary>>);
    std::array<std::byte, 4> data{};
    pio_exit const pio{0x80, 1, std::span(data).first(1)};
    mmio_exit const mmio{gpa{0xd0000000}, data};
    for (auto const verdict :
         {policy.on_pio_in(pio), policy.on_pio_out(pio), policy.on_mmio_read(mmio), policy.on_mmio_write(mmio),
          policy.on_halt({}), policy.on_system_event({}), policy.on_debug({}), policy.on_unknown({})})
        CHECK(verdict == stop_on_all::stop);
    CHECK(policy.on_shutdown({}).end == guest_end::triple_fault);
    CHECK(policy.on_fail_entry({}).action == exit_action::fatal);
    CHECK(policy.on_internal_error({}).action == exit_action::fatal);
    CHECK(pages == std::string(11, 'r'));
}
