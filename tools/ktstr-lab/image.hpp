// SPDX-License-Identifier: Apache-2.0
/// \file
/// What a lab machine is made from, in the cache: the fetched parts, the image around our own binary, the snapshot.
#pragma once

#include "ktstr-lab/cache.hpp"
#include "ktstr-lab/machine.hpp"
#include "ktstr-lab/waiting.hpp"

#include <string>

namespace ktstr::lab {

/// How `prepare_files` goes about it.
struct prepare_options {
    machine_config config;
    bool refresh = false; ///< fetch newer packages even though there are good ones
    bool verify = false; ///< compare all checksums, not only those of files that look touched
    bool quiet = false; ///< say nothing unless there is something to wait for
};

/// Files for a machine, and a lock that keeps them in the cache until the machine has read them.
struct prepared {
    machine_files files;
    std::string parts; ///< versions, for people
    file_lock in_use;
};

/// Makes sure that everything for `options.config` is in the cache and good; builds what is not, with a progress line each.
/// Safe to run at the same time in many processes.
[[nodiscard]] outcome<prepared> prepare_files(signal_gate const& gate, prepare_options const& options);

/// The line of a kernel log that says what killed the kernel; "" when it was nothing of that kind.
[[nodiscard]] std::string why_it_died(std::string const& log);

/// The serial log of a machine that would not come up, for the problem's text: its last lines.
[[nodiscard]] std::string last_lines(std::string const& log, std::size_t lines);

} // namespace ktstr::lab
