// SPDX-License-Identifier: Apache-2.0
/// \file
/// Taking snapshots of a running machine: freeze, note what changes, fork, let go; the child writes.
#pragma once

#include "ktstr-run/linux_machine.hpp"
#include "ktstr-run/snapshot_wish.hpp"
#include "ktstr/introspect/symbols/kallsyms.hpp"
#include "ktstr/introspect/symbols/kaslr.hpp"
#include "ktstr/snapshot/image.hpp"
#include "ktstr/sys/fd.hpp"
#include "ktstr/wire/messages.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace ktstr::tool {

/// The snapshots of one run. Used by the supervising thread.
///
/// The image is taken by fork(): the child has a copy-on-write view of guest RAM at the instant of the freeze and writes
/// the file while the guest goes on (docs/decisions, snapshot copy), so the frozen time does not contain the disk.
class snapshot_taker {
public:
    /// `vmlinux` is the path of the guest kernel's image, for its symbols. Borrowed things outlive this.
    snapshot_taker(linux_machine& machine, snapshot_wish const& wish, std::string vmlinux, nanos run_began)
        : machine_(machine), wish_(wish), vmlinux_(std::move(vmlinux)), began_(run_began) {}
    snapshot_taker(snapshot_taker const&) = delete;
    snapshot_taker& operator=(snapshot_taker const&) = delete;
    /// Waits for the writers; see `finish`.
    ~snapshot_taker() { finish(seconds(60)); }

    /// Freezes the machine and takes its image. Returns the time it stood still; what came of it is in `taken`, at once
    /// or when the writer is done.
    nanos take(std::string_view cause, std::string_view tag, std::optional<wire::kernel_note> const& note);

    /// Hears of writers that have ended; never waits.
    void collect() { reap(nanos{0}); }
    /// Waits for all writers, at most `patience`; those that are not done then are ended, and their snapshots are lost.
    void finish(nanos patience);

    [[nodiscard]] std::vector<snapshot_taken> const& taken() const noexcept { return taken_; }

private:
    struct writer {
        pid_t pid = -1;
        unique_fd result;
        std::size_t index = 0; ///< In `taken_`.
    };
    [[nodiscard]] std::string file_for(std::string_view tag) const;
    [[nodiscard]] std::string note_text(std::optional<wire::kernel_note> const& note) const;
    [[nodiscard]] kernel_place place_of(vcpu_record const& bsp);
    void reap(nanos patience);
    void conclude(writer& w);

    linux_machine& machine_;
    snapshot_wish const& wish_;
    std::string vmlinux_;
    nanos began_;
    bool symbols_tried_ = false;
    std::optional<symbol_table> linked_;               ///< Decoded before the first freeze.
    std::optional<slid_symbols<symbol_table>> symbols_; ///< From when on it is known where the kernel runs.
    std::vector<snapshot_taken> taken_;
    std::vector<writer> writers_;
};

} // namespace ktstr::tool
