// SPDX-License-Identifier: Apache-2.0
/// \file
/// Taking snapshots of a running machine: freeze, note what changes, fork, let go; the child writes.
#pragma once

#include "ktstr-run/linux_machine.hpp"
#include "ktstr-run/snapshot_wish.hpp"
#include "ktstr/freeze/captures.hpp"
#include "ktstr/freeze/gate.hpp"
#include "ktstr/freeze/watch.hpp"
#include "ktstr/introspect/symbols/kallsyms.hpp"
#include "ktstr/introspect/symbols/kaslr.hpp"
#include "ktstr/snapshot/image.hpp"
#include "ktstr/sys/fd.hpp"
#include "ktstr/wire/messages.hpp"

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace ktstr::tool {

/// The steps of one capture, for `captures`. Used by the supervising thread.
///
/// The image is taken by fork(): the child has a copy-on-write view of guest RAM at the instant of the freeze and writes
/// the file while the guest goes on (docs/decisions/010-snapshot-copy.md), so the frozen time does not contain the disk.
class snapshot_steps {
public:
    using hold_type = freeze_gate<machine_runner>;
    /// Position in `taken()`.
    struct snapshot_type {
        std::size_t index = 0;
    };

    /// Borrowed things outlive this.
    snapshot_steps(linux_machine& machine, snapshot_wish const& wish, std::string vmlinux, nanos run_began)
        : machine_(machine), wish_(wish), vmlinux_(std::move(vmlinux)), began_(run_began) {}
    snapshot_steps(snapshot_steps const&) = delete;
    snapshot_steps& operator=(snapshot_steps const&) = delete;
    ~snapshot_steps() { finish(seconds(60)); }

    // What `captures` asks for.
    template <class Trigger>
    [[nodiscard]] result<hold_type> freeze(Trigger const& t) {
        load_symbols(); // tens of milliseconds that must not be frozen time
        freeze_options how;
        how.timeout = wish_.freeze_timeout;
        auto gate = machine_.runner->freeze(how);
        if (!gate)
            failed_to_freeze(name_of(cause_of(t)), tag_of(t), gate.error());
        return gate;
    }
    /// What asks for a late snapshot here is certain: the guest is dead.
    template <class Trigger>
    [[nodiscard]] bool confirm(hold_type&, Trigger const&) {
        return true;
    }
    template <class Trigger>
    [[nodiscard]] captured<snapshot_type> capture(hold_type& hold, Trigger const& t) {
        auto out = picture(hold.report(), name_of(cause_of(t)), tag_of(t));
        std::visit([&](auto const& each) { served(each, hold.report()); }, t);
        return out;
    }
    [[nodiscard]] nanos thaw(hold_type&& hold);
    void extend(nanos frozen) { frozen_ = frozen_ + frozen; }
    [[nodiscard]] result<> publish(snapshot_type& s, capture_label const& label);
    template <class Trigger>
    void reply(Trigger const& t, bool ok, std::string_view reason) {
        std::visit([&](auto const& each) { answer(each, ok, reason); }, t);
    }

    // What the supervisor asks for.

    /// Takes a picture in a freeze that somebody holds already, as `tag`; the file's name, which appears later.
    [[nodiscard]] std::string take_held(hold_type& hold, std::string tag);
    /// Where the guest's kernel says its VMCOREINFO is.
    void know(std::optional<wire::kernel_note> const& note) noexcept { note_ = note; }
    /// Arms one watchpoint, in a freeze of its own; the reason when that cannot be.
    [[nodiscard]] std::string watch(std::string const& text, std::string_view tag);
    [[nodiscard]] watch_set& watches() noexcept { return *machine_.watches; }
    /// Frozen time that deadlines have not been told of yet.
    [[nodiscard]] nanos take_frozen() noexcept { return std::exchange(frozen_, nanos{}); }
    /// Answers to the guest's requests that wait to be sent.
    [[nodiscard]] std::vector<wire::snapshot_reply> take_replies() noexcept { return std::exchange(replies_, {}); }
    /// The symbol that `text` wants watched is in the kernel's image; else why not. Before the machine runs.
    [[nodiscard]] std::string check_watch_text(std::string const& text);

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
    void load_symbols();
    void failed_to_freeze(std::string_view cause, std::string tag, error const& e);
    [[nodiscard]] captured<snapshot_type> picture(freeze_report const& report, std::string_view cause, std::string tag);
    [[nodiscard]] std::vector<vcpu_record> registers(freeze_report const& report, std::string& degraded) const;
    [[nodiscard]] std::string note_text() const;
    [[nodiscard]] bool find_slide(vcpu_record const& bsp);
    [[nodiscard]] kernel_place place_of(vcpu_record const& bsp);
    [[nodiscard]] std::string path_of(snapshot_taken const& s, bool temporary) const;

    template <class Trigger>
    void served(Trigger const&, freeze_report const&) noexcept {}
    void served(watch_hit const& t, freeze_report const& report);
    template <class Trigger>
    void answer(Trigger const&, bool, std::string_view) noexcept {}
    void answer(guest_request const& t, bool ok, std::string_view reason);

    void reap(nanos patience);
    void conclude(writer& w);
    void name(std::size_t index);

    linux_machine& machine_;
    snapshot_wish const& wish_;
    std::string vmlinux_;
    nanos began_;
    std::optional<wire::kernel_note> note_;
    bool symbols_tried_ = false;
    std::optional<symbol_table> linked_;                ///< Decoded before the first freeze.
    std::optional<slid_symbols<symbol_table>> symbols_; ///< From when on it is known where the kernel runs.
    nanos frozen_{};
    std::vector<wire::snapshot_reply> replies_;
    std::vector<snapshot_taken> taken_;
    std::vector<writer> writers_;
};

} // namespace ktstr::tool
