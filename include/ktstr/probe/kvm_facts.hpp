// SPDX-License-Identifier: Apache-2.0
/// \file
/// What was seen when tiny guests ran on /dev/kvm, and what follows from it. Values and pure decisions.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace ktstr {

/// How a tiny guest that tries one thing ended.
enum class stub_outcome : std::uint8_t {
    not_run,
    works,          ///< It reported, and its result is right.
    not_offered,    ///< CPUID does not offer the instruction; it was not tried.
    wrong_result,   ///< It reported, and the result is wrong.
    internal_error, ///< KVM_EXIT_INTERNAL_ERROR; `suberror` 1: KVM's emulator does not know the instruction.
    shutdown,       ///< Triple fault: the instruction raised an exception.
    other_exit,     ///< An exit that it never asked for; `suberror` is the exit reason.
    timed_out,      ///< The watchdog ended it.
    failed,         ///< A system call failed; `suberror` is the errno.
};

/// A stub's end with the number that belongs to it.
struct stub_result {
    stub_outcome outcome = stub_outcome::not_run;
    std::uint32_t suberror = 0;
    friend constexpr bool operator==(stub_result const&, stub_result const&) noexcept = default;
};

/// One KVM capability that a runner of ours uses.
struct kvm_capability {
    std::string_view name; ///< "KVM_CAP_IRQFD"
    bool required = false; ///< Without it no machine of ours starts.
    std::int32_t value = 0; ///< What KVM_CHECK_EXTENSION said; 0: absent.
};

/// How far opening /dev/kvm got.
enum class kvm_access : std::uint8_t { opened, no_device, no_permission, wrong_api, failed };

/// Everything that running guests showed. Times are 0 when their stub did not work.
struct kvm_facts {
    kvm_access access = kvm_access::no_device;
    std::int32_t os_errno = 0; ///< Of the failed open.
    std::int32_t api_version = 0;
    std::vector<kvm_capability> capabilities;
    stub_result loop; ///< Decrement and jump in 64-bit kernel mode.
    stub_result exits; ///< OUT in a loop.
    stub_result xsave; ///< XSETBV, XSAVE, XRSTOR in kernel mode.
    stub_result cmpxchg16b; ///< LOCK CMPXCHG16B in kernel mode.
    stub_result watchpoint; ///< A store to a watched address (probe/watchpoint_probe.hpp); wrong result 0: nothing fired.
    bool host_uses_xsave = false; ///< The host's kernel runs with XSAVE on this processor.
    bool host_has_cmpxchg16b = false;
    std::uint64_t loop_ps = 0; ///< Picoseconds per iteration (two instructions).
    std::uint64_t exit_ns = 0; ///< One exit to user space and back, median.
};

/// What this machine's /dev/kvm is good for.
enum class kvm_verdict : std::uint8_t {
    native,    ///< Linux runs on it.
    emulated,  ///< Guests run, but kernel mode is too slow or too incomplete for Linux.
    forbidden, ///< It is there, and this user may not open it.
    absent,    ///< It is not there, or cannot run any guest.
};

/// Why the verdict is not `native`. The first one that holds, in this order.
enum class kvm_reason : std::uint8_t {
    none,
    no_device,
    no_permission,
    wrong_api,
    open_failed,
    missing_capability,
    cannot_run,     ///< Not even a loop ran to its end.
    no_xsave,
    no_cmpxchg16b,
    slow_kernel_mode,
};

/// A verdict with its reason.
struct kvm_judgement {
    kvm_verdict verdict = kvm_verdict::absent;
    kvm_reason reason = kvm_reason::none;
    friend constexpr bool operator==(kvm_judgement const&, kvm_judgement const&) noexcept = default;
};

/// Kernel mode slower than this is not executed by the processor. Hardware takes 0.2 to 2 ns for the two instructions,
/// a software-emulated machine with nested virtualisation 3 to 50 ns, KVM's own instruction emulator over 1 us.
inline constexpr std::uint64_t kernel_mode_limit_ps = 300'000;

/// Decides from what was seen.
[[nodiscard]] constexpr kvm_judgement judge_kvm(kvm_facts const& f) noexcept {
    switch (f.access) {
    case kvm_access::opened: break;
    case kvm_access::no_device: return {kvm_verdict::absent, kvm_reason::no_device};
    case kvm_access::no_permission: return {kvm_verdict::forbidden, kvm_reason::no_permission};
    case kvm_access::wrong_api: return {kvm_verdict::absent, kvm_reason::wrong_api};
    case kvm_access::failed: return {kvm_verdict::absent, kvm_reason::open_failed};
    }
    for (auto const& c : f.capabilities) {
        if (c.required && c.value <= 0)
            return {kvm_verdict::absent, kvm_reason::missing_capability};
    }
    if (f.loop.outcome != stub_outcome::works || f.exits.outcome != stub_outcome::works)
        return {kvm_verdict::absent, kvm_reason::cannot_run};
    // An instruction that the host has and KVM hides is one its emulator cannot do. A host that lacks it too is no sign
    // of an emulator: Linux then does without it.
    auto const ok = [](stub_result const& r, bool host) {
        return r.outcome == stub_outcome::works || (r.outcome == stub_outcome::not_offered && !host);
    };
    if (!ok(f.xsave, f.host_uses_xsave))
        return {kvm_verdict::emulated, kvm_reason::no_xsave};
    if (!ok(f.cmpxchg16b, f.host_has_cmpxchg16b))
        return {kvm_verdict::emulated, kvm_reason::no_cmpxchg16b};
    if (f.loop_ps > kernel_mode_limit_ps)
        return {kvm_verdict::emulated, kvm_reason::slow_kernel_mode};
    return {kvm_verdict::native, kvm_reason::none};
}

/// Where machines of ours can run.
enum class machine_kind : std::uint8_t { host, lab };

/// What the user asked for.
enum class machine_wish : std::uint8_t { automatic, host, lab };

/// Where to run: what was asked for; else the host if Linux runs there, else the lab.
[[nodiscard]] constexpr machine_kind choose(machine_wish wish, kvm_verdict verdict) noexcept {
    switch (wish) {
    case machine_wish::host: return machine_kind::host;
    case machine_wish::lab: return machine_kind::lab;
    case machine_wish::automatic: break;
    }
    return verdict == kvm_verdict::native ? machine_kind::host : machine_kind::lab;
}

/// The verdict's word, as in `doctor --json`.
[[nodiscard]] constexpr std::string_view word(kvm_verdict v) noexcept {
    switch (v) {
    case kvm_verdict::native: return "native";
    case kvm_verdict::emulated: return "emulated";
    case kvm_verdict::forbidden: return "no permission";
    case kvm_verdict::absent: return "absent";
    }
    return "unknown";
}

/// The outcome's word, as in `doctor --json`.
[[nodiscard]] constexpr std::string_view word(stub_outcome o) noexcept {
    switch (o) {
    case stub_outcome::not_run: return "not run";
    case stub_outcome::works: return "works";
    case stub_outcome::not_offered: return "not offered";
    case stub_outcome::wrong_result: return "wrong result";
    case stub_outcome::internal_error: return "internal error";
    case stub_outcome::shutdown: return "shutdown";
    case stub_outcome::other_exit: return "unexpected exit";
    case stub_outcome::timed_out: return "timed out";
    case stub_outcome::failed: return "failed";
    }
    return "unknown";
}

/// The reason's word, as in `doctor --json`.
[[nodiscard]] constexpr std::string_view word(kvm_reason r) noexcept {
    switch (r) {
    case kvm_reason::none: return "none";
    case kvm_reason::no_device: return "no_device";
    case kvm_reason::no_permission: return "no_permission";
    case kvm_reason::wrong_api: return "wrong_api";
    case kvm_reason::open_failed: return "open_failed";
    case kvm_reason::missing_capability: return "missing_capability";
    case kvm_reason::cannot_run: return "cannot_run";
    case kvm_reason::no_xsave: return "no_xsave";
    case kvm_reason::no_cmpxchg16b: return "no_cmpxchg16b";
    case kvm_reason::slow_kernel_mode: return "slow_kernel_mode";
    }
    return "unknown";
}

} // namespace ktstr
