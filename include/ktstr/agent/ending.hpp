// SPDX-License-Identifier: Apache-2.0
/// \file
/// The last thing pid 1 does.
#pragma once

#include "ktstr/scenario/plan.hpp"

#include <sys/reboot.h>
#include <unistd.h>

namespace ktstr::agent {

/// Leaves the machine in the plan's way. Does nothing for any process but pid 1: no test and no mistake may reboot the
/// machine it runs on. Returns only then, or when the kernel refuses; a pid 1 that goes on to exit panics its guest.
inline void leave_machine(leave_by way) noexcept {
    if (::getpid() != 1)
        return;
    ::sync();
    switch (way) {
    case leave_by::reboot: ::reboot(RB_AUTOBOOT); break;
    case leave_by::power_off: ::reboot(RB_POWER_OFF); break;
    case leave_by::halt: ::reboot(static_cast<int>(RB_HALT_SYSTEM)); break;
    }
}

} // namespace ktstr::agent
