// SPDX-License-Identifier: Apache-2.0
/// \file
/// The traits bag that assembles a runner. A variant inherits and replaces one alias:
///
///     struct quiet : default_runner_traits { using stats = no_stats; };
#pragma once

#include "ktstr/arch/native.hpp"
#include "ktstr/base/clock.hpp"
#include "ktstr/base/log.hpp"
#include "ktstr/freeze/policy.hpp"
#include "ktstr/hv/guest_clocks.hpp"
#include "ktstr/hv/scripted.hpp"
#include "ktstr/kvm/system.hpp"
#include "ktstr/mem/mmap_memory.hpp"
#include "ktstr/run/exit_stats.hpp"
#include "ktstr/run/exit_table.hpp"
#include "ktstr/snapshot/sink.hpp"

namespace ktstr {

/// A machine on this host's KVM that emulates no device.
struct default_runner_traits {
    using arch = native_arch;               ///< `Arch`
    using hypervisor = kvm::hypervisor;     ///< `Hypervisor`
    using ram = anonymous_ram;              ///< `RamBacking`
    using exits = exit_defaults<arch>;      ///< `ExitPolicy`
    using stats = exit_counts;              ///< `ExitStats`
    using freeze = no_freeze;               ///< `FreezePolicy`
    using clocks = running_clocks;          ///< `GuestClocks`, while frozen
    using sink = null_sink;                 ///< `SnapshotSink`
    using log = null_log;                   ///< `LogSink`
    using clock = monotonic_clock;          ///< `Clock`
};

/// A machine of scripted vCPUs: runs anywhere, for tests.
struct scripted_runner_traits : default_runner_traits {
    using hypervisor = scripted_hypervisor;
};

} // namespace ktstr
