// SPDX-License-Identifier: Apache-2.0
// Exits per second through our specialised loop against a hand-written KVM_RUN loop, on the same vCPU, in the same run.
//
// The guest writes a port for ever. A sample is a batch of exits; the two loops take turns, so that whatever the
// machine does to one it does to the other, and the ratio is taken pair by pair.
#include "ktstr/freeze/rendezvous.hpp"
#include "ktstr/runner/presets.hpp"
#include "bench_statistics.hpp"

#include <cstdio>
#include <cstdlib>
#include <vector>

using namespace ktstr;

namespace {

constexpr std::uint64_t batch = 2000;

/// Ends the loop after a batch.
struct counting_exits : exit_defaults<native_arch> {
    std::uint64_t left = 0;
    exit_verdict on_pio_out(pio_exit const& e) noexcept {
        if (--left == 0)
            return {exit_action::shutdown, guest_end::none};
        return exit_defaults::on_pio_out(e);
    }
};

double seconds_since(nanos from) { return static_cast<double>((monotonic_clock{}.now() - from).raw) * 1e-9; }

template <class Stats>
double our_loop(kvm::vcpu& cpu) {
    counting_exits policy;
    policy.left = batch;
    Stats stats;
    run_control control;
    auto const from = monotonic_clock{}.now();
    if constexpr (Stats::timed) {
        monotonic_clock clock;
        timed_exits<counting_exits, Stats, monotonic_clock> timed(policy, stats, clock);
        static_cast<void>(run_loop(cpu, timed, stats, control, vcpu_index{0}));
    } else {
        static_cast<void>(run_loop(cpu, policy, stats, control, vcpu_index{0}));
    }
    return static_cast<double>(batch) / seconds_since(from);
}

/// The loop of a machine that can be frozen, and is not.
double freezable_loop(kvm::vcpu& cpu) {
    counting_exits policy;
    policy.left = batch;
    exit_counts stats;
    run_control control;
    auto all = rendezvous<>::make(1, control);
    if (!all)
        std::abort();
    auto const from = monotonic_clock{}.now();
    static_cast<void>(run_loop(cpu, policy, stats, control, vcpu_index{0}, (*all)->point(0)));
    return static_cast<double>(batch) / seconds_since(from);
}

double bare_loop(kvm::vcpu& cpu) {
    auto& page = cpu.page();
    std::uint64_t left = batch;
    auto const from = monotonic_clock{}.now();
    while (left > 0) {
        if (::ioctl(cpu.fd(), KVM_RUN, 0UL) < 0)
            std::abort();
        if (page.exit_reason == KVM_EXIT_IO)
            --left;
    }
    return static_cast<double>(batch) / seconds_since(from);
}

} // namespace

int main(int argc, char** argv) {
    int const pairs = argc > 1 ? std::atoi(argv[1]) : 61;
    machine_shape shape{{{{gpa{0}, bytes{1 * MiB}}, 0, bytes{0}}}, {0}};
    auto r = runner::make(shape, {.irqchip = false});
    if (!r) {
        std::printf("skip exit_bench %s\n", r.error().where.data());
        return 77;
    }
    unsigned char const code[]{0xba, 0x80, 0x00, 0xee, 0xeb, 0xfd}; // mov dx, 0x80; again: out dx, al; jmp again
    kvm_sregs s{};
    x86_regs regs;
    regs.rip = 0x1000;
    auto& cpu = r->vcpu(0);
    if (!write_guest(r->memory(), gpa{0x1000}, std::as_bytes(std::span(code))) ||
        !kvm::ioctl_struct(cpu.fd(), KVM_GET_SREGS, s, "KVM_GET_SREGS"))
        return 99;
    s.cs.base = 0;
    s.cs.selector = 0;
    if (!kvm::ioctl_struct(cpu.fd(), KVM_SET_SREGS, s, "KVM_SET_SREGS") || !cpu.set_regs(regs))
        return 99;

    std::vector<double> plain, timed, floor, plain_ratio, timed_ratio, freezable_ratio;
    static_cast<void>(bare_loop(cpu));
    for (int i = 0; i < pairs; ++i) {
        // Which goes first alternates, so that a drift hits both alike.
        double bare = i % 2 == 0 ? bare_loop(cpu) : 0;
        double const ours = our_loop<exit_counts>(cpu);
        if (i % 2 != 0)
            bare = bare_loop(cpu);
        // The plain loop and the freezable one stand next to each other, in turns first.
        double freezable = i % 2 == 0 ? freezable_loop(cpu) : 0;
        double const plain_again = our_loop<exit_counts>(cpu);
        if (i % 2 != 0)
            freezable = freezable_loop(cpu);
        freezable_ratio.push_back(freezable / plain_again);
        double const with_times = our_loop<exit_times>(cpu);
        floor.push_back(bare);
        plain.push_back(ours);
        timed.push_back(with_times);
        plain_ratio.push_back(ours / bare);
        timed_ratio.push_back(with_times / bare);
    }
    auto const ci = bench::median_interval(plain_ratio);
    std::printf("exits per second: bare loop %.0f, ours %.0f, ours with times %.0f (medians of %d)\n", bench::median(floor),
                bench::median(plain), bench::median(timed), pairs);
    std::printf("ratio exit_loop %.4f [%.4f, %.4f] wanted >= 0.98\n", bench::median(plain_ratio), ci.low, ci.high);
    auto const still = bench::median_interval(freezable_ratio);
    std::printf("ratio exit_loop_freezable %.4f [%.4f, %.4f] wanted >= 0.98\n", bench::median(freezable_ratio), still.low, still.high);
    std::printf("ratio exit_loop_timed %.4f\n", bench::median(timed_ratio));
    return 0;
}
