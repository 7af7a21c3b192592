// SPDX-License-Identifier: Apache-2.0
/// \file
/// The last thing pid 1 does.
#pragma once

#include "ktstr/scenario/plan.hpp"

#include <sys/reboot.h>
#include <unistd.h>

namespace ktstr::agent {

/// Leaves the machine in the plan's way. Returns only when the kernel refuses, which it does for all but pid 1's
/// namespace owner; the caller then exits, which panics a real guest.
inline void leave_machine(leave_by way) noexcept {
    ::sync();
    switch (way) {
    case leave_by::reboot: ::reboot(RB_AUTOBOOT); break;
    case leave_by::power_off: ::reboot(RB_POWER_OFF); break;
    case leave_by::halt: ::reboot(static_cast<int>(RB_HALT_SYSTEM)); break;
    }
}

} // namespace ktstr::agent
