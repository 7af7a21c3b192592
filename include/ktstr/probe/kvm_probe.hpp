// SPDX-License-Identifier: Apache-2.0
/// \file
/// Runs tiny guests on /dev/kvm and writes down what happened. Never assumes from a capability what a guest can show.
#pragma once

#include "ktstr/abi/kvm.hpp"
#include "ktstr/arch/x86_64/cpuid.hpp"
#include "ktstr/base/clock.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/kvm/system.hpp"
#include "ktstr/kvm/vcpu.hpp"
#include "ktstr/kvm/vm.hpp"
#include "ktstr/kvm/x86_64/cpuid.hpp"
#include "ktstr/kvm/x86_64/regs.hpp"
#include "ktstr/mem/guest_memory.hpp"
#include "ktstr/probe/kvm_facts.hpp"
#include "ktstr/probe/watchdog.hpp"
#include "ktstr/probe/x86_64/stub.hpp"
#include "ktstr/run/kick.hpp"
#include "ktstr/sys/mapping.hpp"

#include <algorithm>
#include <cerrno>
#include <cpuid.h>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <sys/ioctl.h>
#include <utility>
#include <vector>

namespace ktstr {

/// Bounds of a probe.
struct probe_options {
    nanos stub_limit = millis(500); ///< No tiny guest runs longer.
    nanos loop_time = millis(3);    ///< The loop is made longer until it takes this.
    unsigned exit_samples = 200;
};

namespace detail {

/// A guest of one vCPU with 128 KiB of RAM and one stub in it.
class stub_machine {
public:
    [[nodiscard]] static result<stub_machine> make(kvm::hypervisor& host, std::span<cpuid_entry const> cpuid,
                                                   std::span<std::uint8_t const> code, x86_boot_state const& state) {
        KTSTR_TRY(auto ram, mapping::map(probe_stub::memory_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS));
        buffer_memory const memory(ram.span());
        KTSTR_CHECK(write_boot_tables(memory));
        KTSTR_CHECK(write_guest(memory, probe_stub::code, std::as_bytes(code)));
        KTSTR_CHECK(write_guest(memory, probe_stub::data, std::as_bytes(std::span(probe_stub::before))));
        KTSTR_TRY(auto vm, host.create_vm({.irqchip = false}));
        KTSTR_CHECK(vm.map(0, gpa{0}, ram.span()));
        KTSTR_TRY(auto cpu, vm.create_vcpu(vcpu_index{0}, 0));
        KTSTR_CHECK(kvm::set_cpuid(cpu.fd(), cpuid));
        KTSTR_CHECK(kvm::set_boot_state(cpu.fd(), state));
        return stub_machine(std::move(ram), std::move(vm), std::move(cpu));
    }

    [[nodiscard]] std::span<std::byte> ram() const noexcept { return ram_.span(); }
    [[nodiscard]] kvm::vcpu& cpu() noexcept { return cpu_; }

    /// Runs until the stub reports (`works`) or something else ends it. The watchdog must be running; `until` is the
    /// time after which its signal means the end.
    [[nodiscard]] stub_result run(nanos until) noexcept {
        for (;;) {
            if (::ioctl(cpu_.fd(), KVM_RUN, 0UL) < 0) {
                if (errno != EINTR && errno != EAGAIN)
                    return {stub_outcome::failed, static_cast<std::uint32_t>(errno)};
                if (monotonic_clock{}.now() >= until)
                    return {stub_outcome::timed_out, 0};
                continue;
            }
            auto const& page = cpu_.page();
            switch (page.exit_reason) {
            case KVM_EXIT_IO:
                if (page.io.direction == KVM_EXIT_IO_OUT && page.io.port == probe_stub::report_port)
                    return {stub_outcome::works, 0};
                break;
            case KVM_EXIT_INTERNAL_ERROR: return {stub_outcome::internal_error, page.internal.suberror};
            case KVM_EXIT_SHUTDOWN: return {stub_outcome::shutdown, 0};
            case KVM_EXIT_INTR: continue;
            default: break;
            }
            return {stub_outcome::other_exit, page.exit_reason};
        }
    }

    /// The byte that the stub reported last.
    [[nodiscard]] std::uint8_t reported() noexcept {
        auto const& page = cpu_.page();
        return reinterpret_cast<std::uint8_t const*>(&page)[page.io.data_offset];
    }

private:
    // Members go in reverse order: vCPU and machine let go of the RAM before it is unmapped.
    stub_machine(mapping ram, kvm::vm vm, kvm::vcpu cpu) noexcept
        : ram_(std::move(ram)), vm_(std::move(vm)), cpu_(std::move(cpu)) {}
    mapping ram_;
    kvm::vm vm_;
    kvm::vcpu cpu_;
};

[[nodiscard]] inline stub_result stub_failed(error const& e) noexcept {
    return {stub_outcome::failed, static_cast<std::uint32_t>(e.os_errno)};
}

/// Runs one stub in a machine of its own; `look` judges what it left behind.
template <class Look>
[[nodiscard]] stub_result run_stub(kvm::hypervisor& host, std::span<cpuid_entry const> cpuid, std::span<std::uint8_t const> code,
                                   x86_boot_state const& state, probe_options const& options, Look look) {
    auto machine = stub_machine::make(host, cpuid, code, state);
    if (!machine)
        return stub_failed(machine.error());
    auto const dog = watchdog::start(options.stub_limit);
    if (!dog)
        return stub_failed(dog.error());
    auto const out = machine->run(monotonic_clock{}.now() + options.stub_limit);
    if (out.outcome != stub_outcome::works)
        return out;
    return look(*machine) ? out : stub_result{stub_outcome::wrong_result, 0};
}

/// Whether leaf 1 ECX of the host's KVM has `bit`.
[[nodiscard]] inline bool cpuid_offers(std::span<cpuid_entry const> entries, unsigned bit) noexcept {
    return std::ranges::any_of(entries, [bit](cpuid_entry const& e) { return e.function == 1 && (e.ecx >> bit & 1) != 0; });
}

/// Kernel-mode loop: longer and longer until it takes `loop_time`. What one iteration takes, too (entry, exit, pages and
/// translated code that are new), is measured first and taken off: in the lab the first entry takes milliseconds.
inline void probe_loop(kvm::hypervisor& host, std::span<cpuid_entry const> cpuid, probe_options const& options, kvm_facts& facts) {
    auto machine = stub_machine::make(host, cpuid, probe_stub::loop, probe_stub::start(probe_stub::data));
    if (!machine) {
        facts.loop = stub_failed(machine.error());
        return;
    }
    auto const dog = watchdog::start(options.stub_limit);
    if (!dog) {
        facts.loop = stub_failed(dog.error());
        return;
    }
    auto const until = monotonic_clock{}.now() + options.stub_limit;
    auto const best_of_three = [&](std::uint64_t n, nanos& best) {
        std::memcpy(machine->ram().data() + probe_stub::data.raw, &n, sizeof n);
        best = seconds(3600);
        for (int i = 0; i < 3; ++i) {
            auto const start = monotonic_clock{}.now();
            auto const out = machine->run(until);
            if (out.outcome != stub_outcome::works)
                return out;
            best = std::min(best, monotonic_clock{}.now() - start);
        }
        return stub_result{stub_outcome::works, 0};
    };
    nanos once{};
    facts.loop = best_of_three(1, once);
    for (std::uint64_t n = 64; n <= std::uint64_t{1} << 32 && facts.loop.outcome == stub_outcome::works; n *= 4) {
        nanos many{};
        auto const out = best_of_three(n, many);
        if (out.outcome != stub_outcome::works) {
            // The last step was too long for this machine; the figure of a shorter one stands.
            if (facts.loop_ps == 0 || out.outcome != stub_outcome::timed_out)
                facts.loop = out;
            return;
        }
        auto const took = many > once ? many - once : nanos{0};
        facts.loop_ps = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(took.raw) * 1000 / (n - 1));
        if (took >= options.loop_time)
            return;
    }
}

/// One exit and back: the median over many.
inline void probe_exits(kvm::hypervisor& host, std::span<cpuid_entry const> cpuid, probe_options const& options, kvm_facts& facts) {
    auto machine = stub_machine::make(host, cpuid, probe_stub::exits, probe_stub::start(probe_stub::data));
    if (!machine) {
        facts.exits = stub_failed(machine.error());
        return;
    }
    auto const dog = watchdog::start(options.stub_limit);
    if (!dog) {
        facts.exits = stub_failed(dog.error());
        return;
    }
    auto const until = monotonic_clock{}.now() + options.stub_limit;
    std::vector<std::int64_t> took;
    for (unsigned i = 0; i <= options.exit_samples; ++i) {
        auto const start = monotonic_clock{}.now();
        facts.exits = machine->run(until);
        if (facts.exits.outcome != stub_outcome::works)
            return;
        if (i != 0) // The first one faults the guest's pages in.
            took.push_back((monotonic_clock{}.now() - start).raw);
    }
    std::ranges::nth_element(took, took.begin() + static_cast<std::ptrdiff_t>(took.size() / 2));
    facts.exit_ns = static_cast<std::uint64_t>(took[took.size() / 2]);
}

inline void probe_instructions(kvm::hypervisor& host, std::span<cpuid_entry const> cpuid, probe_options const& options, kvm_facts& facts) {
    constexpr unsigned leaf1_cx16 = 13;
    constexpr unsigned leaf1_xsave = 26;
    constexpr unsigned leaf1_osxsave = 27;
    unsigned eax = 0;
    unsigned ebx = 0;
    unsigned ecx = 0;
    unsigned edx = 0;
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0) {
        facts.host_uses_xsave = (ecx >> leaf1_osxsave & 1) != 0;
        facts.host_has_cmpxchg16b = (ecx >> leaf1_cx16 & 1) != 0;
    }
    if (!cpuid_offers(cpuid, leaf1_xsave)) {
        facts.xsave.outcome = stub_outcome::not_offered;
    } else {
        auto state = probe_stub::start(probe_stub::xsave_area);
        state.cr4 |= probe_stub::cr4_osfxsr | probe_stub::cr4_osxsave;
        facts.xsave = run_stub(host, cpuid, probe_stub::xsave, state, options, [](stub_machine& m) {
            std::uint32_t mxcsr = 0;
            std::memcpy(&mxcsr, m.ram().data() + probe_stub::xsave_area.raw + probe_stub::mxcsr_offset, sizeof mxcsr);
            return mxcsr == probe_stub::mxcsr_reset;
        });
    }
    if (!cpuid_offers(cpuid, leaf1_cx16)) {
        facts.cmpxchg16b.outcome = stub_outcome::not_offered;
    } else {
        auto state = probe_stub::start(probe_stub::data);
        state.regs.rax = probe_stub::before[0];
        state.regs.rdx = probe_stub::before[1];
        state.regs.rbx = probe_stub::after[0];
        state.regs.rcx = probe_stub::after[1];
        facts.cmpxchg16b = run_stub(host, cpuid, probe_stub::cmpxchg16b, state, options, [](stub_machine& m) {
            return m.reported() == 1 &&
                   std::memcmp(m.ram().data() + probe_stub::data.raw, probe_stub::after.data(), sizeof probe_stub::after) == 0;
        });
    }
}

/// The capabilities that our runners use, with the value that `host` gives each.
[[nodiscard]] inline std::vector<kvm_capability> probe_capabilities(kvm::hypervisor const& host) {
    struct row {
        std::string_view name;
        long number;
        bool required;
    };
    static constexpr row rows[] = {
        {"KVM_CAP_USER_MEMORY", KVM_CAP_USER_MEMORY, true},
        {"KVM_CAP_IRQCHIP", KVM_CAP_IRQCHIP, true},
        {"KVM_CAP_EXT_CPUID", KVM_CAP_EXT_CPUID, true},
        {"KVM_CAP_IMMEDIATE_EXIT", KVM_CAP_IMMEDIATE_EXIT, true},
        {"KVM_CAP_IRQFD", KVM_CAP_IRQFD, true},
        {"KVM_CAP_IOEVENTFD", KVM_CAP_IOEVENTFD, true},
        {"KVM_CAP_MP_STATE", KVM_CAP_MP_STATE, true},
        {"KVM_CAP_PIT2", KVM_CAP_PIT2, true},
        {"KVM_CAP_NR_VCPUS", KVM_CAP_NR_VCPUS, false},
        {"KVM_CAP_MAX_VCPUS", KVM_CAP_MAX_VCPUS, false},
        {"KVM_CAP_MAX_VCPU_ID", KVM_CAP_MAX_VCPU_ID, false},
        {"KVM_CAP_X2APIC_API", KVM_CAP_X2APIC_API, false},
        {"KVM_CAP_TSC_DEADLINE_TIMER", KVM_CAP_TSC_DEADLINE_TIMER, false},
        {"KVM_CAP_TSC_CONTROL", KVM_CAP_TSC_CONTROL, false},
        {"KVM_CAP_ADJUST_CLOCK", KVM_CAP_ADJUST_CLOCK, false},
        {"KVM_CAP_KVMCLOCK_CTRL", KVM_CAP_KVMCLOCK_CTRL, false},
        {"KVM_CAP_XSAVE2", KVM_CAP_XSAVE2, false},
        {"KVM_CAP_SYNC_REGS", KVM_CAP_SYNC_REGS, false},
        {"KVM_CAP_DIRTY_LOG_RING", KVM_CAP_DIRTY_LOG_RING, false},
        {"KVM_CAP_DEBUGREGS", KVM_CAP_DEBUGREGS, false},
        {"KVM_CAP_SET_GUEST_DEBUG", KVM_CAP_SET_GUEST_DEBUG, false},
        {"KVM_CAP_NESTED_STATE", KVM_CAP_NESTED_STATE, false},
        {"KVM_CAP_BINARY_STATS_FD", KVM_CAP_BINARY_STATS_FD, false},
    };
    std::vector<kvm_capability> out;
    for (auto const& r : rows)
        out.push_back({r.name, r.required, host.capability(r.number)});
    return out;
}

} // namespace detail

/// Looks at /dev/kvm and runs the tiny guests: some 20 ms on real hardware, never longer than seven times
/// `options.stub_limit` and the kernel's own time for creating machines. A machine without /dev/kvm is an answer, not an
/// error. Installs the kick signal's handler. One probe at a time in a thread.
[[nodiscard]] inline result<kvm_facts> probe_kvm(probe_options const& options = {}) {
    kvm_facts facts;
    auto host = kvm::hypervisor::open();
    if (!host) {
        auto const& e = host.error();
        facts.os_errno = e.os_errno;
        facts.access = e.code == errc::not_found     ? kvm_access::no_device
                       : e.code == errc::permission  ? kvm_access::no_permission
                       : e.code == errc::unsupported ? kvm_access::wrong_api
                                                     : kvm_access::failed;
        if (e.code == errc::unsupported)
            facts.api_version = static_cast<std::int32_t>(e.value);
        return facts;
    }
    facts.access = kvm_access::opened;
    facts.api_version = KVM_API_VERSION;
    facts.capabilities = detail::probe_capabilities(*host);
    KTSTR_CHECK(install_kick_handler());
    auto const cpuid = kvm::supported_cpuid(host->fd());
    if (!cpuid) {
        facts.loop = detail::stub_failed(cpuid.error());
        return facts;
    }
    detail::probe_loop(*host, *cpuid, options, facts);
    detail::probe_exits(*host, *cpuid, options, facts);
    detail::probe_instructions(*host, *cpuid, options, facts);
    return facts;
}

} // namespace ktstr
