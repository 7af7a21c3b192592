// SPDX-License-Identifier: Apache-2.0
/// \file
/// What `run`, `shell` and `exec` have in common: from options to a guest that is ready, and from there to this machine's
/// monitor or into the lab.
#pragma once

#include "ktstr-run/boot_options.hpp"
#include "ktstr-run/command.hpp"
#include "ktstr-run/initramfs_cache.hpp"
#include "ktstr-run/machine_choice.hpp"
#include "ktstr-run/memory_plan.hpp"
#include "ktstr-run/run_machine.hpp"
#include "ktstr/store/stored_kernel.hpp"
#include "support/interrupt.hpp"
#include "support/progress.hpp"

#include <string>
#include <utility>
#include <vector>

namespace ktstr::tool {

/// A guest with everything on this machine that it needs.
struct ready_guest {
    machine_choice where;
    stored_kernel kernel;
    virtio_transport transport = virtio_transport::mmio;
    made_initramfs initramfs;
    bytes memory{};
    memory_breakdown needs{};
    std::string cmdline;
};

/// Chooses the machine, opens the kernel, packs the initramfs (with `programs` beside what the user includes) and sees
/// that the memory is enough. Nothing has been started when it fails.
[[nodiscard]] outcome<ready_guest> make_ready(boot_options const& options, plan const& what,
                                              std::vector<include_file> const& programs, progress& show);

/// The request for this machine's monitor; `guest` must outlive it. Its kernel moves into the request.
[[nodiscard]] machine_request request_for(boot_options const& options, ready_guest& guest, plan const& what,
                                          interrupt const& stop);

/// Runs the same command in the lab, with `resolved` options on top of the user's, and gives its exit code. `lab_option`
/// is what ktstr-lab is told about standard input.
[[nodiscard]] outcome<exit_code> run_in_lab(invocation const& call, boot_options const& options,
                                            ready_guest const& guest,
                                            std::vector<std::pair<std::string, std::string>> resolved,
                                            std::string lab_option, interrupt const& stop);

/// What this machine's /dev/kvm is good for, as far as `setting` needs to know it.
[[nodiscard]] outcome<machine_facts> look_at_machine(machine_wish setting);

} // namespace ktstr::tool
