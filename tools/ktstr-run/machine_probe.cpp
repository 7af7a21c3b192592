// SPDX-License-Identifier: Apache-2.0
/// \file
/// Looking at this machine for the choice of where to run.
#include "ktstr-run/programs.hpp"
#include "ktstr-run/session.hpp"
#include "ktstr/probe/machine_probe.hpp"
#include "support/xdg.hpp"

#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>

namespace ktstr::tool {
namespace {

std::string detail_of(machine_probe const& probe) {
    switch (probe.judgement.reason) {
    case kvm_reason::no_device:
    case kvm_reason::no_permission:
    case kvm_reason::open_failed: return std::strerror(probe.os_errno);
    case kvm_reason::wrong_api: return "its API version is not 12";
    case kvm_reason::no_xsave: return "XSAVE does not work in a guest's kernel mode";
    case kvm_reason::no_cmpxchg16b: return "CMPXCHG16B does not work in a guest's kernel mode";
    case kvm_reason::missing_capability: return "a capability that we need is missing; see 'ktstr-run doctor'";
    case kvm_reason::cannot_run: return "not even a tiny guest runs; see 'ktstr-run doctor'";
    case kvm_reason::none:
    case kvm_reason::slow_kernel_mode: break;
    }
    return fmt::format("{}.{:03} ns a loop iteration in a guest's kernel mode", probe.loop_ps / 1000, probe.loop_ps % 1000);
}

} // namespace

outcome<machine_facts> look_at_machine(machine_wish wish) {
    machine_facts out;
    out.lab_there = !lab_program().empty();
    if (wish == machine_wish::lab)
        return out;
    if (wish == machine_wish::host) { // Nothing to choose: only see that it can be opened.
        auto const kvm = unique_fd::open("/dev/kvm", O_RDWR);
        out.kvm = kvm ? kvm_verdict::native
                      : kvm.error().code == errc::permission ? kvm_verdict::forbidden : kvm_verdict::absent;
        if (!kvm)
            out.detail = std::strerror(kvm.error().os_errno);
        return out;
    }
    // Kept until the host reboots: choosing costs a file read, not guests. Without a cache folder it is asked anew.
    auto const cache = xdg_make(xdg_folder::cache);
    auto const probe = probe_machine(cache ? *cache + "/probe" : std::string());
    if (!probe)
        return std::unexpected(problem_from(probe.error(), exit_code::harness, "cannot probe this machine", "/dev/kvm"));
    out.kvm = probe->judgement.verdict;
    out.detail = detail_of(*probe);
    return out;
}

} // namespace ktstr::tool
