// SPDX-License-Identifier: Apache-2.0
// Freezing real guests: memory and registers stand still and agree, and nothing is lost.
#include "ktstr/freeze/policy.hpp"
#include "ktstr/hv/vcpu_record.hpp"
#include "ktstr/kvm/x86_64/clock.hpp"
#include "ktstr/kvm/x86_64/describe.hpp"
#include "ktstr/runner/presets.hpp"
#include "kvm/real_mode.hpp"
#include "kvm/user_guest.hpp"

#include <atomic>
#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace ktstr;

namespace {

/// Counts and keeps what comes out of port 0x80 and what is written to an MMIO address.
struct tally_exits : exit_defaults<x86_64> {
    std::atomic<std::uint64_t> outs{0};
    std::atomic<std::uint64_t> writes{0};
    exit_verdict on_pio_out(pio_exit const& e) noexcept {
        if (e.port != 0x80)
            return exit_defaults::on_pio_out(e);
        outs.fetch_add(e.data.size() / e.size);
        return {};
    }
    exit_verdict on_mmio_write(mmio_exit const&) noexcept {
        writes.fetch_add(1);
        return {};
    }
    exit_verdict on_mmio_read(mmio_exit const& e) noexcept {
        writes.fetch_add(1);
        for (auto& b : e.data)
            b = std::byte{0x5a};
        return {};
    }
};

template <class Freeze = freezable<>>
struct frozen_traits : default_runner_traits {
    using freeze = Freeze;
    using clocks = kvm::guest_clocks;
    using exits = tally_exits;
};

template <class Traits = frozen_traits<>>
basic_runner<Traits> spinners(std::size_t n, std::vector<std::uint8_t> const& text = user_guest::spinner) {
    auto r = basic_runner<Traits>::make(user_guest::shape(n), {.irqchip = false});
    REQUIRE(r);
    REQUIRE(user_guest::load(*r, text));
    return std::move(*r);
}

} // namespace

TEST_CASE("freeze: 1,000 cycles against 8 spinning vCPUs: memory is the same twice, and everybody goes on") {
    tally_exits exits;
    auto r = spinners(8);
    REQUIRE(r.start(exits));
    auto last = user_guest::counters(r);
    std::vector<std::uint64_t> moved(8, 0);
    for (std::uint32_t cycle = 1; cycle <= 1000; ++cycle) {
        auto gate = r.freeze();
        REQUIRE(gate);
        REQUIRE(gate->report().whole());
        REQUIRE(gate->report().generation == cycle);
        auto const first = user_guest::counters(r);
        ::sched_yield();
        auto const second = user_guest::counters(r);
        REQUIRE(first == second);
        for (std::size_t i = 0; i < 8; ++i) {
            REQUIRE(first[i] >= last[i]);
            moved[i] += first[i] != last[i];
        }
        last = first;
        REQUIRE(gate->thaw().all_left);
    }
    for (auto const n : moved)
        CHECK(n > 10); // each got a CPU between some freezes
    CHECK(r.stop(stop_cause::supervisor));
}

TEST_CASE("freeze: quiesce alone keeps user-mode guest memory still") {
    tally_exits exits;
    auto r = spinners(4);
    REQUIRE(r.start(exits));
    freeze_options how;
    how.park = false;
    for (int cycle = 0; cycle < 500; ++cycle) {
        auto gate = r.freeze(how);
        REQUIRE(gate);
        auto const first = user_guest::counters(r);
        ::sched_yield();
        REQUIRE(first == user_guest::counters(r));
    }
    CHECK(r.stop(stop_cause::supervisor));
}

TEST_CASE("freeze: registers are readable, and belong to the code that runs") {
    tally_exits exits;
    auto r = spinners(3);
    REQUIRE(r.start(exits));
    auto gate = r.freeze();
    REQUIRE(gate);
    for (std::size_t i = 0; i < 3; ++i) {
        vcpu_record record;
        REQUIRE(kvm::describe_vcpu(r.vcpu(i).fd(), record));
        auto const rip = record.value("rip");
        CHECK((rip == user_guest::code.raw || rip == user_guest::code.raw + 3));
        CHECK(record.value("rdi") == user_guest::counter(i).raw);
        CHECK((record.value("cs") & 3) == 3);
        CHECK(record.value("cr3") == x86_map::page_tables.raw);
        CHECK(record.value("no such register", 77) == 77);
        CHECK(record.fpu.size() == 4096);
    }
}

TEST_CASE("freeze: a port write is complete before the park, so registers, memory and exits agree") {
    // 1000: out 0x80, al; 1002: inc dword [0x2000]; 1007: jmp 1000
    tally_exits exits;
    auto r = basic_runner<frozen_traits<>>::make(user_guest::shape(1), {.irqchip = false});
    REQUIRE(r);
    load_real_mode(*r, {0xe6, 0x80, 0x66, 0xff, 0x06, 0x00, 0x20, 0xeb, 0xf7});
    REQUIRE(r->start(exits));
    int after_out = 0;
    for (int cycle = 0; cycle < 300; ++cycle) {
        auto gate = r->freeze();
        REQUIRE(gate);
        auto const count = load_guest<le32>(r->memory(), gpa{0x2000});
        REQUIRE(count);
        vcpu_record record;
        REQUIRE(kvm::describe_vcpu(r->vcpu(0).fd(), record));
        bool const done_out = record.value("rip") == 0x1002;
        after_out += done_out;
        REQUIRE(exits.outs.load() == count->get() + (done_out ? 1 : 0));
    }
    CHECK(after_out > 0); // else nothing was shown
}

TEST_CASE("freeze: string output and MMIO reads into memory complete, too") {
    // 1000: mov si,3000; mov cx,40; mov dx,80; rep outsb; inc dword [2000]; jmp 1000
    tally_exits exits;
    auto r = basic_runner<frozen_traits<>>::make(user_guest::shape(1), {.irqchip = false});
    REQUIRE(r);
    load_real_mode(*r, {0xbe, 0x00, 0x30, 0xb9, 0x40, 0x00, 0xba, 0x80, 0x00, 0xf3, 0x6e, 0x66, 0xff, 0x06, 0x00, 0x20, 0xeb, 0xee});
    REQUIRE(r->start(exits));
    for (int cycle = 0; cycle < 200; ++cycle) {
        auto gate = r->freeze();
        REQUIRE(gate);
        auto const count = load_guest<le32>(r->memory(), gpa{0x2000});
        REQUIRE(count);
        vcpu_record record;
        REQUIRE(kvm::describe_vcpu(r->vcpu(0).fd(), record));
        // What went out is what SI and CX say, on top of whole rounds.
        auto const rip = record.value("rip");
        auto const in_round = rip == 0x1009 ? record.value("rsi") - 0x3000 : rip == 0x100b ? 0x40U : 0U;
        REQUIRE(exits.outs.load() == count->get() * 0x40 + in_round);
    }
}

TEST_CASE("freeze: the KVM clock does not see a hundred freezes of two milliseconds") {
    tally_exits exits;
    auto r = spinners(2);
    REQUIRE(r.start(exits));
    auto const clock = [&] {
        kvm_clock_data now{};
        REQUIRE(kvm::ioctl_struct(r.vm().fd(), KVM_GET_CLOCK, now, "KVM_GET_CLOCK"));
        return static_cast<std::int64_t>(now.clock);
    };
    auto const guest = clock();
    auto const host = monotonic_clock{}.now();
    std::int64_t frozen = 0;
    for (int cycle = 0; cycle < 100; ++cycle) {
        auto gate = r.freeze();
        REQUIRE(gate);
        timespec const pause{0, 2'000'000};
        ::nanosleep(&pause, nullptr);
        auto const from = gate->report().quiesced;
        auto const thawed = gate->thaw();
        CHECK(thawed.clocks.kvm_clock);
        frozen += (thawed.released - from).raw;
    }
    auto const guest_passed = clock() - guest;
    auto const host_passed = (monotonic_clock{}.now() - host).raw;
    CHECK(frozen > 200'000'000);
    // A tenth of a millisecond a freeze between our note of the time and KVM's.
    CHECK(guest_passed >= host_passed - frozen - 10'000'000);
    CHECK(guest_passed <= host_passed - frozen + 50'000'000);
}

TEST_CASE("freeze: a machine whose vCPUs sleep in HLT freezes as well") {
    tally_exits exits;
    auto r = basic_runner<frozen_traits<>>::make(user_guest::shape(2)); // with an interrupt controller: HLT stays in KVM
    REQUIRE(r);
    load_real_mode(*r, {0xf4, 0xeb, 0xfd});
    REQUIRE(r->start(exits));
    for (int cycle = 0; cycle < 50; ++cycle) {
        auto gate = r->freeze();
        REQUIRE(gate);
        CHECK(gate->report().whole());
    }
    CHECK(r->stop(stop_cause::supervisor));
}
