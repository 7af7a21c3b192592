// SPDX-License-Identifier: Apache-2.0
// Hardware watchpoints with real guests. Whether they fire is asked of this machine first: where they do not, the tests
// show that the lie is found out and that looking at the memory takes their place; in the lab they show the hits.
#include "ktstr/kvm/x86_64/guest_debug.hpp"

#include "ktstr/freeze/watch.hpp"
#include "ktstr/freeze/watch_poller.hpp"
#include "ktstr/probe/watchpoint_probe.hpp"
#include "ktstr/runner/presets.hpp"
#include "ktstr/runner/x86_64/watching.hpp"
#include "kvm/user_guest.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <doctest/doctest.h>
#include <string>
#include <thread>
#include <vector>

using namespace ktstr;

namespace {

/// The answer of the self-test, asked once.
bool fires() {
    static bool const answer = [] {
        auto const got = watchpoints_work();
        REQUIRE(got);
        MESSAGE("hardware watchpoints " << std::string(*got ? "fire here" : "do not fire here"));
        return *got;
    }();
    return answer;
}

struct watch_exits;
struct watch_traits : default_runner_traits {
    using freeze = freezable<>;
    using exits = watch_exits;
};
using runner = basic_runner<watch_traits>;

/// What the machine of the tool does with a debug exit, in small.
struct watch_exits : exit_defaults<x86_64> {
    watch_set* set = nullptr;
    runner* machine = nullptr;
    bool reset_floods = true; ///< False: only a freeze changes registers.
    std::atomic<std::uint64_t> exits{0};
    std::atomic<std::uint64_t> hits{0};
    std::atomic<std::uint64_t> wrong{0};
    std::atomic<std::uint64_t> value{0};
    std::atomic<std::uint64_t> dr6{0};
    std::atomic<std::uint32_t> by{99};
    monotonic_clock clock{};

    exit_verdict on_debug(debug_exit const& e) noexcept;
};

/// The boot tables map the low 4 GiB where they are; where watchpoints fire the guests have them in the kernel's half, too.
constexpr std::uint64_t kernel_half = std::uint64_t{0xffff8000} << 32;
watch_request at(gpa place, watch_predicate when = {}, std::uint32_t captures = 1'000'000) {
    watch_request r;
    r.address = gva{kernel_half + place.raw};
    r.size = 8;
    r.place = place;
    r.when = when;
    r.captures = captures;
    return r;
}
void arm_all(runner& r, watch_set const& set) { REQUIRE(set_watchpoints(r, set, freeze_report{}) == r.vcpus().size()); }

/// Writes its loop count to [RDI] for ever: mov [rdi], rax; inc rax; jmp.
std::vector<std::uint8_t> const writer{0x48, 0x89, 0x07, 0x48, 0xff, 0xc0, 0xeb, 0xf8};

runner machine(std::size_t vcpus, std::vector<std::uint8_t> const& text) {
    auto r = runner::make(user_guest::shape(vcpus), {.irqchip = false});
    REQUIRE(r);
    REQUIRE(user_guest::load(*r, text));
    if (!fires())
        return std::move(*r); // such a KVM may keep the upper half of user mode to itself, too
    auto const low = load_guest<le64>(r->memory(), x86_map::page_tables);
    REQUIRE(low);
    REQUIRE(store_guest(r->memory(), x86_map::page_tables + 256 * 8, *low));
    for (std::size_t i = 0; i < vcpus; ++i) {
        auto regs = r->vcpu(i).get_regs();
        REQUIRE(regs);
        regs->rdi += kernel_half;
        REQUIRE(r->vcpu(i).set_regs(*regs));
    }
    return std::move(*r);
}

exit_verdict watch_exits::on_debug(debug_exit const& e) noexcept {
    exits.fetch_add(1);
    dr6.store(e.status);
    auto const cause = kvm::debug_cause_of(e);
    wrong.fetch_add(cause.slots == 0 || cause.foreign ? 1 : 0);
    if (!reset_floods) {
        static_cast<void>(set->on_debug(cause, machine->memory(), clock.now()));
        return {};
    }
    return answer_debug(*machine, *set, e, clock.now(), [this](vcpu_index vcpu, std::uint32_t, std::uint64_t v, bool) {
        by.store(vcpu.raw);
        value.store(v);
        hits.fetch_add(1);
    });
}

template <class F>
bool within(nanos limit, F&& done) {
    monotonic_clock const clock;
    for (auto const until = clock.now() + limit; clock.now() < until; std::this_thread::yield())
        if (done())
            return true;
    return done();
}

} // namespace

TEST_CASE("debug registers: DR7 as the manual has it") {
    watch_places p{};
    CHECK(kvm::watch_dr7(p) == 0x700);
    CHECK(!kvm::any_watch(p));
    p[0] = {gva{0x1000}, 4};
    CHECK(kvm::watch_dr7(p) == (0x700U | 0x2U | 0xdU << 16));
    p[1] = {gva{0x1000}, 1};
    p[2] = {gva{0x1000}, 2};
    p[3] = {gva{0x1000}, 8};
    CHECK(kvm::watch_dr7(p) == (0x700U | 0xaaU | 0xdU << 16 | 0x1U << 20 | 0x5U << 24 | 0x9ULL << 28));
    p[0].size = 3; // counts as off
    CHECK((kvm::watch_dr7(p) & 0xf0003) == 0);
}

TEST_CASE("debug registers: whose exit it is") {
    auto const cause = [](std::uint64_t dr6, std::uint64_t dr7, std::uint32_t exception = 1) {
        return kvm::debug_cause_of({0, dr6, dr7, exception});
    };
    CHECK(cause(0xffff0ff1, 0x702) == debug_cause{1, false});
    CHECK(cause(0xffff0ff3, 0x702) == debug_cause{1, false}); // B1 without its register in use is nobody's
    CHECK(cause(0xffff0ff9, 0x782) == debug_cause{9, false});
    CHECK(cause(0xffff4ff0, 0x702) == debug_cause{0, true});  // the guest's own single step
    CHECK(cause(0xffff4ff1, 0x702) == debug_cause{1, true});  // both at once
    CHECK(cause(0xffff2ff0, 0x702) == debug_cause{0, true});
    CHECK(cause(0xffff0ff0, 0x702) == debug_cause{0, false});
    CHECK(cause(0xffff0ff0, 0x702, 3) == debug_cause{0, true}); // INT3
    CHECK(kvm::pass_debug_to_guest(-1, {}, {0, 0, 0, 3}).error().code == errc::unsupported);
    CHECK(kvm::set_watchpoints(-1, {}).error().where == "KVM_SET_GUEST_DEBUG");
}

TEST_CASE("self-test: KVM takes the watchpoint; whether it fires is seen, in bounded time") {
    auto const begun = monotonic_clock{}.now();
    auto const seen = probe_watchpoint();
    CHECK(monotonic_clock{}.now() - begun < seconds(10));
    REQUIRE(seen);
    CHECK((seen->outcome == stub_outcome::works || seen->outcome == stub_outcome::wrong_result));
    CHECK(fires() == (seen->outcome == stub_outcome::works));
}

TEST_CASE("self-test: a guest that never stops is ended, and not believed") {
    auto host = kvm::hypervisor::open();
    REQUIRE(host);
    REQUIRE(install_kick_handler());
    auto const cpuid = kvm::supported_cpuid(host->fd());
    REQUIRE(cpuid);
    constexpr std::array<std::uint8_t, 2> loop{0xeb, 0xfe};
    auto m = detail::stub_machine::make(*host, *cpuid, loop, probe_stub::start(probe_stub::data));
    REQUIRE(m);
    auto const dog = watchdog::start(millis(50));
    REQUIRE(dog);
    CHECK(detail::watched_run(*m, monotonic_clock{}.now() + millis(50)).outcome == stub_outcome::timed_out);
}

TEST_CASE("watch: a store is seen at once, or, where nothing fires, by looking at the memory") {
    watch_set set;
    auto r = machine(2, writer);
    watch_exits exits;
    exits.set = &set;
    exits.machine = &r;
    auto const slot = *set.arm(at(user_guest::counter(0)));
    arm_all(r, set);
    REQUIRE(r.start(exits));
    std::uint64_t seen = 0;
    if (fires()) {
        CHECK(within(seconds(20), [&] { return exits.hits.load() == 1; }));
        CHECK((exits.dr6.load() & 0xf) == 1U << slot);
        CHECK(exits.by == 0);
        seen = exits.value.load();
    } else {
        watch_poller poller;
        CHECK(within(seconds(20), [&] {
            poller.look(set, r.memory(), [&](std::uint32_t, std::uint64_t v) { seen = v; });
            return seen != 0;
        }));
        CHECK(exits.exits == 0);
        CHECK(poller.blind() == 0);
    }
    auto gate = r.freeze();
    REQUIRE(gate);
    CHECK(gate->report().whole());
    auto const held = user_guest::counters(r)[0];
    CHECK(held >= seen);
    if (fires())
        CHECK(held == seen); // the vCPU that hit is still at its store
    CHECK(set.report(slot).hits >= 1);
    CHECK(exits.wrong == 0);
    CHECK(!set.served(slot));
    static_cast<void>(gate->thaw());
    CHECK(r.stop(stop_cause::supervisor));
}

TEST_CASE("watch: predicates, the vCPU alone: true ones freeze, false ones are counted, the others run on" *
          doctest::description("what fires is shown where it fires; elsewhere nothing may be claimed")) {
    if (!fires()) {
        MESSAGE("no watchpoint fires here: shown in the lab");
        return;
    }
    watch_set set(watch_limits{1'000'000'000});
    auto r = machine(3, writer);
    watch_exits exits;
    exits.set = &set;
    exits.machine = &r;
    // Every 16th store has bit 4 change; asked for is one exact count.
    auto const slot = *set.arm(at(user_guest::counter(0), {watch_op::equal, 1000}, 1));
    arm_all(r, set);
    auto const begun = monotonic_clock{}.now();
    REQUIRE(r.start(exits));
    REQUIRE(within(seconds(60), [&] { return exits.hits.load() == 1; }));
    auto const took = monotonic_clock{}.now() - begun;
    auto const others = user_guest::counters(r);
    auto report = set.report(slot);
    CHECK(report.hits == 1);
    CHECK(report.suppressed == 1000); // 0..999 before it: no store was missed, none counted twice
    CHECK(report.exits == 1001);
    CHECK(exits.value == 1000);
    CHECK(others[1] > 1000); // nobody stopped them
    CHECK(others[2] > 1000);
    MESSAGE("1,001 hits beside two busy vCPUs in " << took.raw / 1000 << " us; these made " << others[1] << " and " << others[2]
                                                   << " stores meanwhile");
    {
        auto gate = r.freeze();
        REQUIRE(gate);
        CHECK(user_guest::counters(r)[0] == 1000);
        CHECK(set.served(slot));
        arm_all(r, set); // off
    }
    auto const exits_then = exits.exits.load();
    CHECK(within(seconds(20), [&] { return user_guest::counters(r)[0] > 100'000; }));
    CHECK(exits.exits.load() == exits_then);
    CHECK(r.stop(stop_cause::supervisor));
}

TEST_CASE("watch: what a hit with a false predicate costs one vCPU") {
    if (!fires()) {
        MESSAGE("no watchpoint fires here: shown in the lab");
        return;
    }
    watch_set set(watch_limits{1'000'000'000});
    auto r = machine(1, writer);
    watch_exits exits;
    exits.set = &set;
    exits.machine = &r;
    static_cast<void>(*set.arm(at(user_guest::counter(0), {watch_op::equal, ~std::uint64_t{0}})));
    arm_all(r, set);
    REQUIRE(r.start(exits));
    REQUIRE(within(seconds(20), [&] { return exits.exits.load() >= 100; }));
    auto const from = exits.exits.load();
    auto const begun = monotonic_clock{}.now();
    REQUIRE(within(seconds(60), [&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(5)); // the CPU belongs to the vCPU
        return exits.exits.load() >= from + 3000;
    }));
    auto const n = static_cast<std::int64_t>(exits.exits.load() - from);
    auto const took = monotonic_clock{}.now() - begun;
    MESSAGE(n << " hits, " << took.raw / n << " ns each");
    CHECK(exits.hits == 0);
    CHECK(r.stop(stop_cause::supervisor));
}

TEST_CASE("watch: the guest's own single step is given back to it, and our watchpoint still fires") {
    if (!fires()) {
        MESSAGE("no watchpoint fires here: shown in the lab");
        return;
    }
    std::array<std::uint8_t, 0x120> code{};
    constexpr std::uint8_t body[]{
        0x9c,                                           // pushfq
        0x48, 0x81, 0x0c, 0x24, 0x00, 0x01, 0x00, 0x00, // or qword [rsp], 0x100 (TF)
        0x9d,                                           // popfq
        0x90,                                           // nop: #DB behind it
        0x48, 0x89, 0x07,                               // mov [rdi], rax
        0xe6, 0x81,                                     // out 0x81, al
        0xf4,                                           // hlt
    };
    constexpr std::uint8_t handler[]{
        0x0f, 0x21, 0xf0,                                     // mov rax, dr6
        0x48, 0xc1, 0xe8, 0x08,                               // shr rax, 8: BS is bit 6 now
        0xe6, 0x80,                                           // out 0x80, al
        0x48, 0x81, 0x64, 0x24, 0x10, 0xff, 0xfe, 0xff, 0xff, // and qword [rsp+16], ~0x100
        0x48, 0xcf,                                           // iretq
    };
    std::ranges::copy(body, code.begin());
    std::ranges::copy(handler, code.begin() + 0x100);
    auto state = probe_stub::start(probe_stub::data);
    auto host = kvm::hypervisor::open();
    REQUIRE(host);
    REQUIRE(install_kick_handler());
    auto const cpuid = kvm::supported_cpuid(host->fd());
    REQUIRE(cpuid);
    auto m = detail::stub_machine::make(*host, *cpuid, code, state);
    REQUIRE(m);
    constexpr std::uint64_t table = 0x13000;
    auto const at_handler = probe_stub::code.raw + 0x100;
    std::uint64_t const gate = (at_handler & 0xffff) | std::uint64_t{state.code.selector} << 16 | std::uint64_t{0x8e} << 40 |
                               (at_handler >> 16 & 0xffff) << 48;
    std::memcpy(m->ram().data() + table + 16, &gate, sizeof gate);
    kvm_sregs s{};
    REQUIRE(kvm::ioctl_struct(m->cpu().fd(), KVM_GET_SREGS, s, "KVM_GET_SREGS"));
    s.idt.base = table;
    s.idt.limit = 0x1fff;
    REQUIRE(kvm::ioctl_struct(m->cpu().fd(), KVM_SET_SREGS, s, "KVM_SET_SREGS"));
    watch_places places{};
    places[1] = {gva{probe_stub::data.raw}, 8};
    REQUIRE(kvm::set_watchpoints(m->cpu().fd(), places));
    auto const dog = watchdog::start(seconds(10));
    REQUIRE(dog);
    auto const until = monotonic_clock{}.now() + seconds(10);
    auto const next = [&] { return detail::watched_run(*m, until); };
    REQUIRE(next() == stub_result{stub_outcome::other_exit, KVM_EXIT_DEBUG});
    auto const step = kvm::native_debug_exit(m->cpu().page());
    CHECK(kvm::debug_cause_of(step) == debug_cause{0, true});
    REQUIRE(kvm::pass_debug_to_guest(m->cpu().fd(), places, step));
    REQUIRE(next() == stub_result{stub_outcome::other_exit, KVM_EXIT_IO}); // its handler ran
    CHECK(m->cpu().page().io.port == 0x80);
    CHECK((m->reported() & 0x40) != 0); // and saw BS
    REQUIRE(next() == stub_result{stub_outcome::other_exit, KVM_EXIT_DEBUG});
    CHECK(kvm::debug_cause_of(kvm::native_debug_exit(m->cpu().page())) == debug_cause{2, false});
    REQUIRE(next() == stub_result{stub_outcome::other_exit, KVM_EXIT_IO});
    CHECK(m->cpu().page().io.port == 0x81);
}

TEST_CASE("watch: one that fires too often is off at the next freeze, and the guest was never stuck") {
    if (!fires()) {
        MESSAGE("no watchpoint fires here: shown in the lab");
        return;
    }
    watch_set set(watch_limits{50});
    auto r = machine(1, writer);
    watch_exits exits;
    exits.set = &set;
    exits.machine = &r;
    exits.reset_floods = false;
    auto const slot = *set.arm(at(user_guest::counter(0), {watch_op::equal, ~std::uint64_t{0}}));
    arm_all(r, set);
    REQUIRE(r.start(exits));
    REQUIRE(within(seconds(20), [&] { return set.report(slot).flooded; }));
    auto const then = user_guest::counters(r)[0];
    CHECK(within(seconds(20), [&] { return user_guest::counters(r)[0] > then + 10; }));
    {
        auto gate = r.freeze();
        REQUIRE(gate);
        CHECK(set.places()[slot].size == 0);
        arm_all(r, set);
    }
    auto const off = exits.exits.load();
    CHECK(within(seconds(20), [&] { return user_guest::counters(r)[0] > then + 100'000; }));
    CHECK(exits.exits.load() == off);
    CHECK(set.report(slot).flooded);
    CHECK(r.stop(stop_cause::supervisor));
}

TEST_CASE("watch: each vCPU that meets one that fires too often takes it out of its own registers, without a freeze") {
    if (!fires()) {
        MESSAGE("no watchpoint fires here: shown in the lab");
        return;
    }
    watch_set set(watch_limits{50});
    auto r = machine(2, writer);
    // Both store to the same place.
    auto regs = r.vcpu(1).get_regs();
    REQUIRE(regs);
    regs->rdi = kernel_half + user_guest::counter(0).raw;
    REQUIRE(r.vcpu(1).set_regs(*regs));
    watch_exits exits;
    exits.set = &set;
    exits.machine = &r;
    auto const slot = *set.arm(at(user_guest::counter(0), {watch_op::equal, ~std::uint64_t{0}}));
    arm_all(r, set);
    REQUIRE(r.start(exits));
    REQUIRE(within(seconds(20), [&] { return set.report(slot).flooded; }));
    CHECK(within(seconds(20), [&] { return user_guest::counters(r)[0] > 1'000'000; }));
    CHECK(exits.exits <= 50 + 2); // one more for each vCPU at most
    CHECK(exits.wrong == 0);
    CHECK(r.stop(stop_cause::supervisor));
}

TEST_CASE("watch: setting and clearing the registers a thousand times while frozen harms nobody") {
    watch_set set(watch_limits{1'000'000'000});
    auto r = machine(2, writer);
    watch_exits exits;
    exits.set = &set;
    exits.machine = &r;
    REQUIRE(r.start(exits));
    auto const rounds = fires() ? 50 : 300; // the lab is slow
    for (int i = 0; i < rounds; ++i) {
        auto gate = r.freeze();
        REQUIRE(gate);
        REQUIRE(gate->report().whole());
        auto const slot = *set.arm(at(gpa{0x60000})); // nobody stores there
        arm_all(r, set);
        static_cast<void>(gate->thaw());
        auto again = r.freeze();
        REQUIRE(again);
        set.disarm(slot);
        arm_all(r, set);
    }
    auto const then = user_guest::counters(r);
    CHECK(within(seconds(20), [&] { return user_guest::counters(r)[0] > then[0] && user_guest::counters(r)[1] > then[1]; }));
    CHECK(exits.exits == 0);
    CHECK(r.stop(stop_cause::supervisor));
}
