// SPDX-License-Identifier: Apache-2.0
// Tiny guests under our own loop on this machine's /dev/kvm.
#include "ktstr/runner/presets.hpp"
#include "kvm/real_mode.hpp"

#include <array>
#include <cstring>
#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace ktstr;

namespace {

struct recording_exits : exit_defaults<x86_64> {
    std::string text;
    exit_verdict on_pio_out(pio_exit const& e) noexcept {
        if (e.port == 0x3f8)
            for (auto b : e.data)
                text.push_back(static_cast<char>(b));
        return exit_defaults::on_pio_out(e);
    }
};
struct recording_traits : default_runner_traits {
    using exits = recording_exits;
    using stats = exit_times;
};

machine_shape one_mib(std::size_t vcpus = 1) {
    machine_shape shape{{{{gpa{0}, bytes{1 * MiB}}, 0, bytes{0}}}, {}};
    for (std::size_t i = 0; i < vcpus; ++i)
        shape.vcpu_ids.push_back(static_cast<std::uint32_t>(i));
    return shape;
}

deadline within(std::int64_t s) { return {monotonic_clock{}.now(), seconds(s), nanos{}}; }

} // namespace

TEST_CASE("a tiny guest prints through a port and ends by the i8042") {
    recording_exits exits;
    auto r = basic_runner<recording_traits>::make(one_mib(), {.irqchip = false});
    REQUIRE(r);
    load_real_mode(*r, {0xba, 0xf8, 0x03, 0xb0, 'o', 0xee, 0xb0, 'k', 0xee, 0xba, 0x64, 0x00, 0xb0, 0xfe, 0xee, 0xf4});
    auto const end = r->run(exits, within(5));
    REQUIRE(end);
    CHECK(exits.text == "ok");
    CHECK(end->bsp == bsp_exit_reason::shutdown);
    CHECK(end->end == guest_end::reset_i8042);
    CHECK(exit_code(end->bsp) == 0);
    auto const& stats = r->vcpus()[0].stats();
    CHECK(stats.counts[static_cast<std::size_t>(exit_kind::pio_out)] == 3);
    CHECK(stats.handling[static_cast<std::size_t>(exit_kind::pio_out)].raw > 0);
}

TEST_CASE("a guest that never ends is stopped by the deadline, and the reason says so") {
    recording_exits exits;
    auto r = basic_runner<recording_traits>::make(one_mib(), {.irqchip = false});
    REQUIRE(r);
    load_real_mode(*r, {0xeb, 0xfe});
    auto const end = r->run(exits, {monotonic_clock{}.now(), millis(200), nanos{}});
    REQUIRE(end);
    CHECK(end->bsp == bsp_exit_reason::timeout);
    CHECK(end->cause == stop_cause::deadline);
    CHECK(exit_code(end->bsp) == -1);
}

TEST_CASE("a read from nowhere gives all ones and MMIO outside RAM resumes") {
    recording_exits exits;
    auto r = basic_runner<recording_traits>::make(one_mib(), {.irqchip = false});
    REQUIRE(r);
    // in al, 0x42; out 0x3f8 al; then reset
    load_real_mode(*r, {0xe4, 0x42, 0xba, 0xf8, 0x03, 0xee, 0xba, 0x64, 0x00, 0xb0, 0xfe, 0xee});
    auto const end = r->run(exits, within(5));
    REQUIRE(end);
    CHECK(exits.text == "\xff");
}

TEST_CASE("a guest entered in long mode runs, and its triple fault is named") {
    recording_exits exits;
    auto r = basic_runner<recording_traits>::make(one_mib(), {.irqchip = false});
    REQUIRE(r);
    REQUIRE(write_boot_tables(r->memory()));
    // mov edx, 0x3f8; mov al, 'L'; out dx, al; ud2 (no IDT: the fault has nowhere to go)
    std::vector<std::uint8_t> const code{0xba, 0xf8, 0x03, 0x00, 0x00, 0xb0, 'L', 0xee, 0x0f, 0x0b};
    REQUIRE(write_guest(r->memory(), gpa{0x30000}, std::as_bytes(std::span(code))));
    REQUIRE(kvm::set_boot_state(r->vcpu(0).fd(), x86_long_mode_entry(gpa{0x30000}, x86_map::zero_page)));
    auto const end = r->run(exits, within(5));
    REQUIRE(end);
    CHECK(exits.text == "L");
    CHECK(end->end == guest_end::triple_fault);
    CHECK(end->bsp == bsp_exit_reason::shutdown);
}

TEST_CASE("two vCPUs: the shutdown of one stops the other, which spins") {
    recording_exits exits;
    auto r = basic_runner<recording_traits>::make(one_mib(2), {.irqchip = false});
    REQUIRE(r);
    load_real_mode(*r, {0xeb, 0xfe});
    std::vector<std::uint8_t> const end_code{0xba, 0x64, 0x00, 0xb0, 0xfe, 0xee};
    REQUIRE(write_guest(r->memory(), gpa{0x3000}, std::as_bytes(std::span(end_code))));
    kvm_sregs s{};
    REQUIRE(kvm::ioctl_struct(r->vcpu(1).fd(), KVM_GET_SREGS, s, "KVM_GET_SREGS"));
    s.cs.base = 0;
    s.cs.selector = 0;
    REQUIRE(kvm::ioctl_struct(r->vcpu(1).fd(), KVM_SET_SREGS, s, "KVM_SET_SREGS"));
    x86_regs regs;
    regs.rip = 0x3000;
    REQUIRE(r->vcpu(1).set_regs(regs));
    auto const end = r->run(exits, within(5));
    REQUIRE(end);
    CHECK(end->bsp == bsp_exit_reason::external_kill);
    CHECK(end->cause == stop_cause::guest);
    CHECK(end->by == vcpu_index{1});
    CHECK(end->end == guest_end::reset_i8042);
}
