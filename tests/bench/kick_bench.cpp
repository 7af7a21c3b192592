// SPDX-License-Identifier: Apache-2.0
// From a kick to the return of a spinning vCPU: ours against the bare signal + immediate_exit, in the same run.
//
// The vCPU thread runs the same tight loop for both; only the way of kicking differs: ours is `ktstr::kick` seen
// through the run loop; the floor stores the byte and sends the signal by hand and is seen by a hand-written loop.
#include "ktstr/runner/presets.hpp"
#include "bench_statistics.hpp"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

using namespace ktstr;

namespace {

std::atomic<std::int64_t> returned_at{0};
std::atomic<bool> inside{false};

struct quiet_exits : exit_defaults<native_arch> {};

/// Waits a little so that the vCPU is surely in the guest.
void settle() {
    timespec const pause{0, 300'000};
    ::nanosleep(&pause, nullptr);
}

/// One measured kick; `Body` runs the vCPU on its thread until it is kicked.
template <class Body, class Kick>
double one(Body body, Kick do_kick) {
    returned_at = 0;
    inside = false;
    auto worker = thread::start("vcpu-0", [&]() noexcept {
        accept_kicks();
        inside = true;
        body();
        returned_at = monotonic_clock{}.now().raw;
    });
    if (!worker)
        std::abort();
    while (!inside)
        ::sched_yield();
    settle();
    auto const from = monotonic_clock{}.now().raw;
    do_kick(worker->handle());
    worker->join();
    return static_cast<double>(returned_at - from) * 1e-3;
}

} // namespace

int main(int argc, char** argv) {
    int const pairs = argc > 1 ? std::atoi(argv[1]) : 400;
    quiet_exits policy;
    machine_shape shape{{{{gpa{0}, bytes{1 * MiB}}, 0, bytes{0}}}, {0}};
    auto r = runner::make(shape, {.irqchip = false});
    if (!r) {
        std::printf("skip kick_bench %s\n", r.error().where.data());
        return 77;
    }
    unsigned char const code[]{0xeb, 0xfe};
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

    std::vector<double> ours, floor, ratio;
    for (int i = 0; i < pairs; ++i) {
        auto const measure_ours = [&] {
            exit_counts stats;
            run_control control;
            return one([&] { static_cast<void>(run_loop(cpu, policy, stats, control, vcpu_index{0})); },
                       [&](pthread_t t) {
                           control.request_stop(stop_cause::supervisor);
                           kick(cpu, t);
                       });
        };
        auto const measure_floor = [&] {
            std::atomic<bool> stop{false};
            auto const us = one(
                [&] {
                    while (!stop.load(std::memory_order_acquire)) {
                        if (::ioctl(cpu.fd(), KVM_RUN, 0UL) < 0)
                            cpu.page().immediate_exit = 0;
                    }
                },
                [&](pthread_t t) {
                    stop = true;
                    cpu.page().immediate_exit = 1;
                    std::atomic_thread_fence(std::memory_order_seq_cst);
                    ::pthread_kill(t, kick_signal());
                });
            return us;
        };
        double a = 0, b = 0;
        if (i % 2 == 0) {
            a = measure_ours();
            b = measure_floor();
        } else {
            b = measure_floor();
            a = measure_ours();
        }
        cpu.clear_exit_request();
        ours.push_back(a);
        floor.push_back(b);
        ratio.push_back(a / b);
    }
    auto const ci = bench::median_interval(ratio);
    std::printf("kick to return of a spinner, us: floor median %.1f p99 %.1f, ours median %.1f p99 %.1f (%d pairs)\n",
                bench::median(floor), bench::percentile(floor, 0.99), bench::median(ours), bench::percentile(ours, 0.99),
                pairs);
    std::printf("ratio kick %.4f [%.4f, %.4f] wanted <= 1.2\n", bench::median(ratio), ci.low, ci.high);
    std::printf("ratio kick_p99 %.4f\n", bench::percentile(ours, 0.99) / bench::percentile(floor, 0.99));
    return 0;
}
