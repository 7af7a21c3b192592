// SPDX-License-Identifier: Apache-2.0
// Stopping N spinning vCPUs: our rendezvous against the least that can be done, and against how other monitors do it.
//
// Each scheme has a machine of its own. All machines but one stand still, so the schemes take turns in one process under
// the same noise. One sample: let a machine go, give its threads time to get into the guest, stop it again.
// `floor`: a flag, `immediate_exit` and a signal to each, the last of them rings a futex. No state, no fence, no registers.
// `eventfd`, `polled`: our rendezvous that hears by an eventfd from each, or looks every millisecond, and proves nothing
// before the last acknowledgement: the schemes of other monitors.
#include "ktstr/freeze/policy.hpp"
#include "ktstr/runner/presets.hpp"
#include "bench_statistics.hpp"
#include "kvm/user_guest.hpp"

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <signal.h>
#include <string>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <vector>

using namespace ktstr;

namespace {

[[noreturn]] void give_up(char const* what) {
    std::printf("freeze_bench: %s failed\n", what);
    std::exit(99);
}

double us(nanos from, nanos to) { return static_cast<double>((to - from).raw) * 1e-3; }

/// What one stop took.
struct sample {
    double stopped = 0;  ///< Request to the last acknowledgement, seen by the caller.
    double quiesced = 0; ///< Request to guest memory still; 0: the scheme cannot tell.
};

/// The least: hand-written, nothing but what stopping needs.
class bare_machine {
public:
    explicit bare_machine(std::size_t n) : threads_(n), tids_(n) {
        auto r = runner::make(user_guest::shape(n), {.irqchip = false});
        if (!r || !user_guest::load(*r, user_guest::spinner))
            give_up("bare machine");
        runner_ = std::make_unique<runner>(std::move(*r));
        left_ = static_cast<std::uint32_t>(n);
        stop_ = 1;
        for (std::size_t i = 0; i < n; ++i) {
            auto t = thread::start("bare", [this, i]() noexcept { loop(i); });
            if (!t)
                give_up("bare thread");
            threads_[i] = std::move(*t);
        }
        gather();
    }
    ~bare_machine() {
        end_ = true;
        go();
        kick_all();
        for (auto& t : threads_)
            t.join();
    }
    void go() {
        left_.store(static_cast<std::uint32_t>(threads_.size()), std::memory_order_relaxed);
        stop_.fetch_add(1, std::memory_order_release); // even: run
        futex_wake_all(stop_);
        gather(); // not part of what is measured: all schemes start their run alike
    }
    sample stop() {
        left_.store(static_cast<std::uint32_t>(threads_.size()), std::memory_order_relaxed);
        auto const from = monotonic_clock{}.now();
        stop_.fetch_add(1, std::memory_order_release); // odd: stop
        kick_all();
        gather();
        return {us(from, monotonic_clock{}.now()), 0};
    }

private:
    void kick_all() {
        auto const self = ::getpid();
        for (std::size_t i = 0; i < threads_.size(); ++i) {
            runner_->vcpu(i).page().immediate_exit = 1;
            std::atomic_thread_fence(std::memory_order_seq_cst);
            ::syscall(SYS_tgkill, self, tids_[i].load(std::memory_order_relaxed), kick_signal());
        }
    }
    void gather() {
        for (std::uint32_t left; (left = left_.load(std::memory_order_acquire)) != 0;)
            futex_wait(left_, left, seconds(1));
    }
    void arrive() {
        if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1)
            futex_wake_all(left_);
    }
    void loop(std::size_t i) noexcept {
        accept_kicks();
        tids_[i] = this_thread_id();
        auto& cpu = runner_->vcpu(i);
        while (!end_.load(std::memory_order_acquire)) {
            if (auto const order = stop_.load(std::memory_order_acquire); order % 2 != 0) {
                arrive();
                while (stop_.load(std::memory_order_acquire) == order)
                    futex_wait(stop_, order, seconds(1));
                arrive();
                continue;
            }
            if (::ioctl(cpu.fd(), KVM_RUN, 0UL) < 0)
                cpu.page().immediate_exit = 0;
        }
    }

    std::unique_ptr<runner> runner_;
    std::vector<thread> threads_;
    std::vector<std::atomic<pid_t>> tids_;
    std::atomic<std::uint32_t> stop_{0}, left_{0};
    std::atomic<bool> end_{false};
};

/// A runner with a rendezvous of the kind given.
template <class Freeze>
class our_machine {
public:
    explicit our_machine(std::size_t n) {
        auto r = runner_type::make(user_guest::shape(n), {.irqchip = false});
        if (!r || !user_guest::load(*r, user_guest::spinner))
            give_up("machine");
        runner_ = std::make_unique<runner_type>(std::move(*r));
        if (!runner_->start(exits_))
            give_up("start");
        static_cast<void>(stop());
    }
    ~our_machine() { gate_.reset(); }
    void go() { gate_.reset(); }
    sample stop() {
        freeze_options how;
        how.hold_clocks = false; // the floor does not hold them either
        auto const from = monotonic_clock{}.now();
        auto gate = runner_->freeze(how);
        auto const to = monotonic_clock{}.now();
        if (!gate || !gate->report().whole())
            give_up("freeze");
        auto const& at = gate->report();
        sample out{us(from, to), at.quiesced == at.parked ? 0 : us(from, at.quiesced)};
        gate_ = std::make_unique<freeze_gate<runner_type>>(std::move(*gate));
        return out;
    }

private:
    struct traits : default_runner_traits {
        using freeze = Freeze;
    };
    using runner_type = basic_runner<traits>;
    typename traits::exits exits_{};
    std::unique_ptr<runner_type> runner_;
    std::unique_ptr<freeze_gate<runner_type>> gate_; // goes before the runner
};

/// Tasks that use the CPUs for something else, in processes of their own.
class busy_tasks {
public:
    explicit busy_tasks(int n) {
        for (int i = 0; i < n; ++i) {
            auto const child = ::fork();
            if (child == 0) {
                ::prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (unsigned volatile spin = 0;;)
                    spin = spin + 1;
            }
            children_.push_back(child);
        }
    }
    ~busy_tasks() {
        for (auto const c : children_) {
            ::kill(c, SIGKILL);
            ::waitpid(c, nullptr, 0);
        }
    }

private:
    std::vector<pid_t> children_;
};

constexpr std::size_t schemes = 4;
std::array<char const*, schemes> const names{"floor", "ours", "eventfd", "polled"};

struct series {
    std::array<std::vector<double>, schemes> stopped;
    std::vector<double> quiesced;
};

series measure(std::size_t n, int rounds, long run_us) {
    bare_machine bare(n);
    our_machine<freezable<>> ours(n);
    our_machine<freezable<eventfd_arrivals, symmetric_fence>> eventfd(n);
    our_machine<freezable<polled_arrivals, symmetric_fence>> polled(n);
    series out;
    auto const one = [&](std::size_t scheme, bool keep) {
        auto const turn = [&](auto& machine) {
            machine.go();
            timespec const pause{0, run_us * 1000};
            ::nanosleep(&pause, nullptr);
            return machine.stop();
        };
        auto const s = scheme == 0   ? turn(bare)
                       : scheme == 1 ? turn(ours)
                       : scheme == 2 ? turn(eventfd)
                                     : turn(polled);
        if (!keep)
            return;
        out.stopped[scheme].push_back(s.stopped);
        if (scheme == 1)
            out.quiesced.push_back(s.quiesced);
    };
    for (int i = -5; i < rounds; ++i)
        for (std::size_t k = 0; k < schemes; ++k)
            one((k + static_cast<std::size_t>(i + 5)) % schemes, i >= 0); // who goes first changes from round to round
    return out;
}

void show_ratio(std::string const& name, std::vector<double> const& a, std::vector<double> const& b, char const* wanted) {
    std::vector<double> ratio;
    for (std::size_t i = 0; i < a.size(); ++i)
        ratio.push_back(a[i] / b[i]);
    auto const ci = bench::median_interval(ratio);
    std::printf("ratio %s %.3f [%.3f, %.3f]%s%s\n", name.c_str(), bench::median(ratio), ci.low, ci.high,
                *wanted != '\0' ? " wanted " : "", wanted);
}

void show(std::size_t n, series const& s, bool busy) {
    auto const suffix = std::to_string(n) + (busy ? "_busy" : "");
    std::printf("%zu vCPUs%s, us, median / p99:", n, busy ? " beside four busy tasks" : "");
    for (std::size_t k = 0; k < schemes; ++k)
        std::printf(" %s %.1f / %.1f,", names[k], bench::median(s.stopped[k]), bench::percentile(s.stopped[k], 0.99));
    std::printf(" ours to quiesced %.1f / %.1f (%zu rounds)\n", bench::median(s.quiesced),
                bench::percentile(s.quiesced, 0.99), s.quiesced.size());
    if (busy) {
        show_ratio("acknowledged_per_quiesced_eventfd_" + suffix, s.stopped[2], s.quiesced, ">= 50");
        show_ratio("acknowledged_per_quiesced_polled_" + suffix, s.stopped[3], s.quiesced, ">= 50");
    } else {
        show_ratio("park_" + suffix, s.stopped[1], s.stopped[0], n <= 8 ? "<= 1.3" : "");
        std::printf("ratio park_p99_%s %.3f\n", suffix.c_str(),
                    bench::percentile(s.stopped[1], 0.99) / bench::percentile(s.stopped[0], 0.99));
        show_ratio("eventfd_" + suffix, s.stopped[2], s.stopped[0], "");
        show_ratio("polled_" + suffix, s.stopped[3], s.stopped[0], "");
        if (n == 8)
            std::printf("figure quiesce_us_8 %.1f wanted <= 100\n", bench::median(s.quiesced));
    }
    std::fflush(stdout);
}

} // namespace

int main(int argc, char** argv) {
    int const rounds = argc > 1 ? std::atoi(argv[1]) : 150;
    auto const only = argc > 2 ? static_cast<std::size_t>(std::atoi(argv[2])) : 0;
    if (auto const probe = runner::make(user_guest::shape(1), {.irqchip = false}); !probe) {
        std::printf("skip freeze_bench %s\n", probe.error().where.data());
        return 77;
    }
    for (std::size_t const n : {1U, 2U, 4U, 8U, 32U})
        if (only == 0 || only == n)
            show(n, measure(n, rounds, 1000), false);
    busy_tasks const beside(4);
    for (std::size_t const n : {1U, 2U, 4U, 8U, 32U})
        if (only == 0 || only == n)
            show(n, measure(n, rounds / 5, 2000), true);
    return 0;
}
