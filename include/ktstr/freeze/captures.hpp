// SPDX-License-Identifier: Apache-2.0
/// \file
/// The one way to take a snapshot, whatever the cause, and the early snapshot's way to a name.
///
///     trigger -> allowed in this state? -> freeze -> [gate] -> capture -> thaw -> [extend] -> publish -> [reply]
///
/// The brackets are the cause's policy (freeze/trigger.hpp). What each step does is the `CaptureOps` policy's. Contract:
/// - `snapshot_type`: what a capture gives; movable. `hold_type`: holds a freeze, thaws when destroyed; movable.
/// - `result<hold_type> freeze(trigger)`: `errc::busy` while somebody else holds one.
/// - `bool confirm(hold_type&, trigger)`: whether the frozen machine bears the trigger out. Asked where the policy gates.
/// - `captured<snapshot_type> capture(hold_type&, trigger)`: reads what is to be read; slow work belongs into `publish`.
/// - `nanos thaw(hold_type&&)`: lets the machine go; how long it stood still.
/// - `void extend(nanos frozen)`: moves the deadline.
/// - `result<> publish(snapshot_type&, capture_label)`: stores it under its name. It may be called again after a failure.
/// - `void reply(trigger, bool ok, string_view reason)`: answers whoever waits.
/// One thread, the supervisor.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/freeze/transition.hpp"
#include "ktstr/freeze/trigger.hpp"

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace ktstr {

/// What a capture gave: a snapshot, and what it lacks.
template <class Snapshot>
struct captured {
    Snapshot snapshot;
    std::string degraded{}; ///< Why it is less than whole; empty when it is.
};

/// How a snapshot is called.
struct capture_label {
    freeze_cause cause = freeze_cause::host;
    std::string tag{};            ///< Empty: the run's main snapshot.
    std::string_view degraded{};  ///< What it lacks; empty for a whole one.
};

/// How one trigger ended.
enum class capture_outcome : std::uint8_t {
    captured,   ///< A whole snapshot.
    degraded,   ///< A snapshot that lacks something.
    suppressed, ///< The frozen machine did not bear the trigger out.
    in_flight,  ///< Another freeze was held; not done.
    queued,     ///< Waits for its turn.
    ignored,    ///< Not allowed in this state.
    failed,     ///< The machine could not be frozen.
};

/// One line of the account that a run gives of its snapshots.
struct capture_record {
    freeze_cause cause = freeze_cause::host;
    std::string tag{};
    capture_outcome outcome = capture_outcome::failed;
    std::string reason{};      ///< Of a degraded, failed or unpublished one.
    nanos frozen{};
    bool taken = false;        ///< There was a snapshot.
    bool published = false;    ///< It is where it should be; false with `taken`: lost, or still held.
};

[[nodiscard]] constexpr std::string_view name_of(capture_outcome o) noexcept {
    constexpr std::array<std::string_view, 7> names{"captured", "degraded", "suppressed", "in flight", "queued", "ignored", "failed"};
    auto const i = static_cast<std::size_t>(o);
    return i < names.size() ? names[i] : std::string_view("unknown outcome");
}

/// Names of the early snapshot, by what became of the late one.
namespace early_tags {
inline constexpr std::string_view beside_late = "early";
inline constexpr std::string_view late_degraded = "early-pre-late-degraded";
inline constexpr std::string_view late_suppressed = "early-only-late-suppressed";
inline constexpr std::string_view late_never_fired = "early-only-late-never-fired";
inline constexpr std::string_view degraded = "early-degraded"; ///< The early one itself lacks something, whatever came later.
} // namespace early_tags

/// See the contract at the top of this file.
template <class O, class Trigger>
concept CaptureOps = requires(O& o, Trigger const& t, typename O::hold_type& hold, typename O::snapshot_type& s,
                              capture_label const& label) {
    { o.freeze(t) } -> std::same_as<result<typename O::hold_type>>;
    { o.confirm(hold, t) } -> std::same_as<bool>;
    { o.capture(hold, t) } -> std::same_as<captured<typename O::snapshot_type>>;
    { o.thaw(std::move(hold)) } -> std::same_as<nanos>;
    { o.extend(nanos{}) } -> std::same_as<void>;
    { o.publish(s, label) } -> std::same_as<result<>>;
    { o.reply(t, true, std::string_view{}) } -> std::same_as<void>;
};

namespace detail {
/// What only a machine with two snapshots remembers.
template <class Snapshot>
struct early_held {
    std::optional<Snapshot> snapshot;
    std::size_t record = 0;   ///< Its line in the account.
    std::string tag{};        ///< Set once the name is known; still held then: publishing failed, and is tried again.
    std::string degraded{};   ///< What it lacks.
};
struct nothing_held {};

[[nodiscard]] inline std::string reason_of(error const& e) {
    std::string out(e.where.empty() ? std::string_view("failed") : e.where);
    return e.os_errno != 0 ? out + ", errno " + std::to_string(e.os_errno) : out;
}
} // namespace detail

/// Takes the snapshots of one run. Nothing that was captured is lost without a record of it: call `finish` at the end of
/// the run (the destructor does, too).
template <SnapshotMode Mode, CaptureOps<typename Mode::trigger_type> Ops>
class captures {
public:
    using trigger_type = typename Mode::trigger_type;
    using state_type = typename Mode::state;
    static constexpr std::size_t max_waiting = 64;  ///< Triggers that wait for their turn.
    static constexpr std::size_t max_records = 4096; ///< Lines of the account; more are counted only.

    explicit captures(Ops& ops) noexcept : ops_(&ops) {}
    captures(captures const&) = delete;
    captures& operator=(captures const&) = delete;
    ~captures() { finish(); }

    [[nodiscard]] state_type state() const noexcept { return state_; }
    [[nodiscard]] std::vector<capture_record> const& records() const noexcept { return records_; }
    /// Snapshots that were taken and could not be stored. Complete after `finish`.
    [[nodiscard]] std::uint64_t lost() const noexcept { return lost_; }
    /// Outcomes that found the account full.
    [[nodiscard]] std::uint64_t unrecorded() const noexcept { return unrecorded_; }
    [[nodiscard]] std::size_t waiting() const noexcept { return waiting_.size(); }
    /// Whether an early snapshot is held for the end.
    [[nodiscard]] bool holds_early() const noexcept {
        if constexpr (Mode::dual)
            return early_.snapshot.has_value();
        else
            return false;
    }

    /// Answers one trigger. Triggers that wait go first, so that nobody is overtaken.
    capture_outcome capture(trigger_type trigger) {
        auto const policy = policy_of(cause_of(trigger));
        if (policy.queue_when_busy && !waiting_.empty()) {
            service();
            if (!waiting_.empty())
                return wait(std::move(trigger));
        }
        return attempt(trigger, policy.queue_when_busy);
    }

    /// Tries the triggers that wait again, in their order; stops at the first that still finds a freeze held.
    void service() {
        while (!waiting_.empty()) {
            auto trigger = std::move(waiting_.front());
            waiting_.pop_front();
            if (attempt(trigger, true, true) == capture_outcome::queued)
                return; // it went back to the front
        }
    }

    /// The run is over: what waits is tried a last time, the early snapshot gets its name, and what is lost is in the
    /// account. Does nothing the second time.
    void finish() noexcept {
        if (finished_)
            return;
        finished_ = true;
        service();
        if constexpr (Mode::dual) {
            if (early_.snapshot)
                publish_early(early_.tag.empty() ? std::string(early_tags::late_never_fired) : early_.tag);
            if (early_.snapshot)
                ++lost_;
        }
        step(Mode::event::run_ended);
    }

private:
    using snapshot_type = typename Ops::snapshot_type;
    using event = typename Mode::event;

    bool step(event e) noexcept {
        auto const to = next<Mode>(state_, e);
        if (to)
            state_ = *to;
        return to.has_value();
    }

    /// Whether the state has room for this cause's event; the causes without one are served in every state.
    [[nodiscard]] bool allowed(freeze_cause cause) const noexcept {
        if (cause == freeze_cause::error_exit)
            return next<Mode>(state_, event::late_captured).has_value();
        if constexpr (Mode::dual)
            if (cause == freeze_cause::early)
                return next<Mode>(state_, event::early).has_value();
        return true;
    }

    capture_outcome wait(trigger_type trigger, bool first = false) {
        if (waiting_.size() >= max_waiting) {
            note(trigger, capture_outcome::in_flight, "too many triggers wait");
            answer(trigger, false, "too many snapshots wait for their turn");
            return capture_outcome::in_flight;
        }
        if (first)
            waiting_.push_front(std::move(trigger));
        else
            waiting_.push_back(std::move(trigger));
        return capture_outcome::queued;
    }

    /// The sequence at the top of this file; there is no other.
    capture_outcome attempt(trigger_type& trigger, bool may_wait, bool first = false) {
        auto const cause = cause_of(trigger);
        auto const policy = policy_of(cause);
        if (!allowed(cause)) {
            note(trigger, capture_outcome::ignored, {});
            return capture_outcome::ignored;
        }
        auto held = ops_->freeze(trigger);
        if (!held) {
            if (held.error().code == errc::busy) {
                if (may_wait && !finished_)
                    return wait(std::move(trigger), first);
                note(trigger, capture_outcome::in_flight, "another snapshot is being taken");
                answer(trigger, false, "another snapshot is being taken; try again");
                return capture_outcome::in_flight;
            }
            auto const reason = detail::reason_of(held.error());
            note(trigger, capture_outcome::failed, reason);
            advance(cause, capture_outcome::failed);
            answer(trigger, false, reason);
            return capture_outcome::failed;
        }
        auto outcome = capture_outcome::suppressed;
        std::optional<captured<snapshot_type>> got;
        if (!policy.gate || ops_->confirm(*held, trigger)) {
            got.emplace(ops_->capture(*held, trigger));
            outcome = got->degraded.empty() ? capture_outcome::captured : capture_outcome::degraded;
        }
        auto const frozen = ops_->thaw(std::move(*held));
        if (policy.extend)
            ops_->extend(frozen);
        auto const line = note(trigger, outcome, got ? got->degraded : std::string());
        if (line)
            records_[*line].frozen = frozen;
        result<> stored{};
        if (got) {
            if (line)
                records_[*line].taken = true;
            stored = place(policy.publish, trigger, std::move(*got), line);
        }
        advance(cause, outcome);
        if (policy.reply) {
            if (!stored)
                ops_->reply(trigger, false, "the snapshot could not be stored: " + detail::reason_of(stored.error()));
            else
                ops_->reply(trigger, outcome == capture_outcome::captured, line ? std::string_view(records_[*line].reason) : std::string_view{});
        }
        return outcome;
    }

    result<> place(publish_as how, trigger_type const& trigger, captured<snapshot_type> got, std::optional<std::size_t> line) {
        if constexpr (Mode::dual)
            if (how == publish_as::kept) {
                early_.snapshot.emplace(std::move(got.snapshot));
                early_.record = line.value_or(max_records);
                early_.tag = got.degraded.empty() ? std::string() : std::string(early_tags::degraded);
                early_.degraded = std::move(got.degraded);
                return {};
            }
        capture_label label{cause_of(trigger), how == publish_as::main ? std::string() : tag_of(trigger), got.degraded};
        auto stored = ops_->publish(got.snapshot, label);
        if (!stored) // Once more: a full disk may have room again, and there is no second copy of this machine.
            stored = ops_->publish(got.snapshot, label);
        settle(line.value_or(max_records), stored, got.degraded);
        lost_ += stored ? 0 : 1;
        return stored;
    }

    /// The state machine's step, and with the late one the early snapshot's name.
    void advance(freeze_cause cause, capture_outcome outcome) {
        if constexpr (Mode::dual) {
            if (cause == freeze_cause::early) {
                step(event::early);
                if (early_.snapshot && !early_.tag.empty())
                    publish_early(early_.tag);
                return;
            }
        }
        if (cause != freeze_cause::error_exit)
            return;
        auto const e = outcome == capture_outcome::captured     ? event::late_captured
                       : outcome == capture_outcome::suppressed ? event::late_suppressed
                                                                : event::late_degraded;
        if constexpr (Mode::dual) {
            if (early_.snapshot && early_.tag.empty()) {
                auto const tag = e == event::late_captured     ? early_tags::beside_late
                                 : e == event::late_suppressed ? early_tags::late_suppressed
                                                               : early_tags::late_degraded;
                publish_early(std::string(tag));
            }
        }
        step(e);
    }

    /// Gives the early snapshot to the sink as `tag`; on failure it stays here, with that name, for `finish`.
    void publish_early(std::string tag)
        requires Mode::dual
    {
        auto const stored = ops_->publish(*early_.snapshot, capture_label{freeze_cause::early, tag, early_.degraded});
        if (early_.record < records_.size())
            records_[early_.record].tag = tag;
        early_.tag = std::move(tag);
        settle(early_.record, stored, early_.degraded);
        if (stored)
            early_.snapshot.reset();
    }

    void settle(std::size_t line, result<> const& stored, std::string_view degraded) {
        if (line >= records_.size())
            return;
        auto& r = records_[line];
        r.published = stored.has_value();
        r.reason = stored ? std::string(degraded) : "not stored: " + detail::reason_of(stored.error());
    }

    std::optional<std::size_t> note(trigger_type const& trigger, capture_outcome outcome, std::string reason) {
        if (records_.size() >= max_records) {
            ++unrecorded_;
            return std::nullopt;
        }
        records_.push_back({cause_of(trigger), tag_of(trigger), outcome, std::move(reason), {}, false, false});
        return records_.size() - 1;
    }

    void answer(trigger_type const& trigger, bool ok, std::string_view reason) {
        if (policy_of(cause_of(trigger)).reply)
            ops_->reply(trigger, ok, reason);
    }

    Ops* ops_;
    state_type state_ = state_type::idle;
    [[no_unique_address]] std::conditional_t<Mode::dual, detail::early_held<snapshot_type>, detail::nothing_held> early_{};
    std::deque<trigger_type> waiting_;
    std::vector<capture_record> records_;
    std::uint64_t unrecorded_ = 0;
    std::uint64_t lost_ = 0;
    bool finished_ = false;
};

} // namespace ktstr
