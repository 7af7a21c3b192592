// SPDX-License-Identifier: Apache-2.0
/// \file
/// One virtual machine from its request to what is known about it afterwards: the seam between the command line and the
/// machine monitor. Everything a person named is checked before this is called.
#pragma once

#include "ktstr-run/run_machine_choices.hpp"
#include "ktstr-run/snapshot_wish.hpp"
#include "ktstr/arch/x86_64/apic_id.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/boot/initramfs_image.hpp"
#include "ktstr/freeze/watch.hpp"
#include "ktstr/scenario/evidence.hpp"
#include "ktstr/scenario/plan.hpp"
#include "ktstr/store/kernel_store.hpp"
#include "ktstr/topo/numa.hpp"
#include "ktstr/topo/topology.hpp"
#include "support/interrupt.hpp"
#include "support/problem.hpp"
#include "support/progress.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace ktstr::tool {

/// Everything that decides a machine. Borrowed things (`initramfs`, `stop`) outlive the call.
struct machine_request {
    stored_kernel kernel;
    topology shape{};
    numa_layout layout; ///< Valid for `shape`; where it names sizes, `memory` is their sum.
    bytes memory{};
    std::string cmdline; ///< The whole kernel command line.
    initramfs_image const* initramfs = nullptr; ///< Base and suffix; the plan is in the suffix.
    plan what{};         ///< The same plan, for deadlines and for what the host sends.
    nanos wall_limit{};  ///< From the call; then the guest is told to stop, and a little later the machine ends.
    std::uint64_t seed = 0;
    bool kaslr = false;
    vendor_choice vendor = vendor_choice::host;
    apic_id_options apic_ids{}; ///< Where the APIC ids start and how far apart they are.
    reset_choice reset = reset_choice::keyboard;
    virtio_transport transport = virtio_transport::mmio;
    int input_fd = -1;       ///< Bytes for the guest's program or shell; -1: none.
    bool raw_input = false;  ///< The input is a terminal in raw mode: Ctrl-a x ends the machine, Ctrl-a a sends Ctrl-a.
    int output_fd = 1;       ///< The guest program's standard output.
    int error_fd = 2;        ///< The guest program's standard error.
    int console_fd = -1;     ///< A live copy of the guest's console; -1: none.
    std::string memory_file; ///< Write the guest's memory there at the end (`--keep`); empty: do not.
    snapshot_wish snapshots; ///< Its folder is named and there.
    interrupt const* stop = nullptr;
};

/// A point of the boot, on the host's clock, counted from the call of `run_machine`.
struct boot_point {
    std::string name; ///< "memory ready", "first KVM_RUN", "agent", "go", "scenario start", ...
    nanos at{};
};

/// What watching cost: so that a user can judge the judge.
struct observer_figures {
    nanos vcpu_user{};      ///< CPU time of the vCPU threads in user mode (exits handled).
    nanos vcpu_system{};    ///< In the kernel, the guest's own time included where the kernel does not tell it apart.
    nanos vcpu_run_delay{}; ///< Runnable and not running: the host took the CPU away (schedstat).
    nanos helpers{};        ///< CPU time of all our other threads.
    nanos host_steal{};     ///< What our own hypervisor stole from the host meanwhile (/proc/stat), all CPUs.
    bytes own_memory{};     ///< Resident memory beyond the guest's RAM, at the end.
};

/// Everything known after the machine's end.
struct machine_outcome {
    run_evidence evidence; ///< Exits by reason, console and kernel log are in it.
    std::vector<boot_point> boot;
    observer_figures observer;
    nanos wall{};                 ///< From the call to the machine's end.
    std::uint64_t runs = 0;       ///< KVM_RUN calls of all vCPUs.
    std::vector<snapshot_taken> snapshots;
    std::vector<watch_report> watches;
    std::size_t snapshots_missed = 0; ///< Asked for, and the run was over before their time came.
};

/// Runs one machine to its end. A machine that ran is an outcome, however badly; a problem means that none ran or that
/// this host failed (99), lacks something (77), or that a signal came (128 + n).
[[nodiscard]] outcome<machine_outcome> run_machine(machine_request const& request, progress& show);

} // namespace ktstr::tool
