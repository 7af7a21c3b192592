// SPDX-License-Identifier: Apache-2.0
/// \file
/// Where a guest runs: this machine's /dev/kvm or the lab, and why.
#pragma once

#include "ktstr/probe/kvm_facts.hpp"
#include "support/problem.hpp"

#include <string>

namespace ktstr::tool {

/// What the choice is made from.
struct machine_facts {
    kvm_verdict kvm = kvm_verdict::absent;
    std::string detail;     ///< What the probe saw, as "1500 ns per loop iteration in kernel mode".
    bool lab_there = false; ///< ktstr-lab lies beside this program.
};

/// The choice, and one line that says which and why.
struct machine_choice {
    machine_kind place = machine_kind::host;
    std::string why;
};

/// Decides. A machine that cannot do what was asked is a problem with exit code 77.
[[nodiscard]] inline outcome<machine_choice> choose_machine(machine_wish setting, machine_facts const& facts) {
    auto const seen = [&]() -> std::string {
        auto const detail = facts.detail.empty() ? std::string() : " (" + facts.detail + ")";
        switch (facts.kvm) {
        case kvm_verdict::native: return "/dev/kvm runs Linux natively" + detail;
        case kvm_verdict::emulated: return "/dev/kvm is emulated and cannot run Linux" + detail;
        case kvm_verdict::forbidden: return "no permission on /dev/kvm" + detail;
        case kvm_verdict::absent: return "no usable /dev/kvm" + detail;
        }
        return {};
    }();
    auto const no_lab = [&](std::string what) {
        return problem_of(exit_code::missing, std::move(what), "ktstr-lab is not beside ktstr-run",
                          "build the whole project, so that tools/ktstr-lab is there");
    };
    switch (setting) {
    case machine_wish::lab:
        if (!facts.lab_there)
            return no_lab("the lab is not installed");
        return machine_choice{machine_kind::lab, "machine: lab (asked for)"};
    case machine_wish::host:
        // An emulated one is let through: whoever asks for it by name wants to see what it does.
        if (facts.kvm == kvm_verdict::absent)
            return problem_of(exit_code::missing, seen, "option --machine host",
                              "load the kvm module, or use --machine lab");
        if (facts.kvm == kvm_verdict::forbidden)
            return problem_of(
                exit_code::missing, seen, "option --machine host",
                "join the group that owns it (usually: sudo adduser $USER kvm, then log in again), or use "
                "--machine lab");
        return machine_choice{machine_kind::host, "machine: host (asked for)"};
    case machine_wish::automatic:
        if (facts.kvm == kvm_verdict::native)
            return machine_choice{machine_kind::host, "machine: host, because " + seen};
        if (!facts.lab_there)
            return no_lab(seen + ", and the lab is not installed");
        return machine_choice{machine_kind::lab, "machine: lab, because " + seen};
    }
    return problem_of(exit_code::harness, "unknown machine setting");
}

} // namespace ktstr::tool
