// SPDX-License-Identifier: Apache-2.0
/// \file
/// Whether hardware watchpoints of guests fire on this machine. A KVM may take them, answer "done", and never fire; so a
/// tiny guest stores to a watched address, and only what then happens counts.
#pragma once

#include "ktstr/kvm/x86_64/guest_debug.hpp"
#include "ktstr/probe/kvm_probe.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <sys/ioctl.h>

namespace ktstr {

namespace detail {

/// Runs until the vCPU stops for anything but a signal; nothing when the time is over.
[[nodiscard]] inline stub_result watched_run(stub_machine& machine, nanos until) noexcept {
    for (;;) {
        if (::ioctl(machine.cpu().fd(), KVM_RUN, 0UL) >= 0)
            return {stub_outcome::other_exit, machine.cpu().page().exit_reason};
        if (errno != EINTR && errno != EAGAIN)
            return {stub_outcome::failed, static_cast<std::uint32_t>(errno)};
        if (monotonic_clock{}.now() >= until)
            return {stub_outcome::timed_out, 0};
    }
}

/// The stub stores beside the watched place, then to it, then reports. Asked for is one debug exit, for our slot, behind
/// the second store with its value in memory, and then the report.
[[nodiscard]] inline stub_result probe_watchpoint(kvm::hypervisor& host, std::span<cpuid_entry const> cpuid, probe_options const& options) {
    if (host.capability(KVM_CAP_SET_GUEST_DEBUG) <= 0)
        return {stub_outcome::not_offered, 0};
    constexpr std::uint64_t stored = 0x5a5aa5a55a5aa5a5;
    constexpr std::size_t slot = 2;
    auto state = probe_stub::start(probe_stub::data);
    state.regs.rax = stored;
    auto machine = stub_machine::make(host, cpuid, probe_stub::store, state);
    if (!machine)
        return stub_failed(machine.error());
    watch_places places{};
    places[slot] = {gva{probe_stub::data.raw}, 8};
    if (auto const set = kvm::set_watchpoints(machine->cpu().fd(), places); !set)
        return stub_failed(set.error());
    auto const dog = watchdog::start(options.stub_limit);
    if (!dog)
        return stub_failed(dog.error());
    auto const until = monotonic_clock{}.now() + options.stub_limit;
    auto const first = watched_run(*machine, until);
    if (first.outcome != stub_outcome::other_exit)
        return first;
    if (first.suberror == KVM_EXIT_IO)
        return {stub_outcome::wrong_result, 0}; // it ran to its end: nothing fired
    if (first.suberror != KVM_EXIT_DEBUG)
        return first;
    auto const seen = kvm::native_debug_exit(machine->cpu().page());
    std::uint64_t value = 0;
    std::memcpy(&value, machine->ram().data() + probe_stub::data.raw, sizeof value);
    if (kvm::debug_cause_of(seen) != debug_cause{1U << slot, false} || value != stored ||
        seen.pc != probe_stub::code.raw + probe_stub::store_end)
        return {stub_outcome::wrong_result, 1};
    auto const second = watched_run(*machine, until);
    if (second == stub_result{stub_outcome::other_exit, KVM_EXIT_IO})
        return {stub_outcome::works, 0};
    return second.outcome == stub_outcome::other_exit ? stub_result{stub_outcome::wrong_result, 2} : second;
}

} // namespace detail

/// What a watched store does on this machine: `works`; `wrong_result` when nothing fired (0), or something else than
/// asked for did (1, 2); otherwise why it cannot be known. Never longer than `options.stub_limit` and the making of a
/// machine. Fails when /dev/kvm cannot be had. Installs the kick signal's handler.
[[nodiscard]] inline result<stub_result> probe_watchpoint(probe_options const& options = {}) {
    KTSTR_TRY(auto host, kvm::hypervisor::open());
    KTSTR_CHECK(install_kick_handler());
    KTSTR_TRY(auto const cpuid, kvm::supported_cpuid(host.fd()));
    return detail::probe_watchpoint(host, cpuid, options);
}

/// Whether watchpoints can be trusted here; else look at the memory (freeze/watch_poller.hpp).
[[nodiscard]] inline result<bool> watchpoints_work(nanos limit = millis(500)) {
    KTSTR_TRY(auto const seen, probe_watchpoint({.stub_limit = limit}));
    return seen.outcome == stub_outcome::works;
}

} // namespace ktstr
