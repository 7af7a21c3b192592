// SPDX-License-Identifier: Apache-2.0
/// \file
/// The one deadline of a run: a base, extensions that say why, and a soft request before the hard stop.
#pragma once

#include "ktstr/base/units.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ktstr {

/// Why a deadline moved.
enum class extension_cause : std::uint8_t { freeze, scenario_pause, scheduler_attached, guest_progress, user };

/// One move of a deadline.
struct deadline_extension {
    extension_cause cause{};
    nanos by{};
    nanos at{};               ///< When the first of these moves was made, on the deadline's clock.
    std::uint32_t times = 1;  ///< Moves of the same cause are added up.
};

/// Where a deadline stands.
enum class deadline_phase : std::uint8_t {
    running, ///< Time is left.
    soft,    ///< Ask the guest to finish.
    expired, ///< Stop it.
};

/// A deadline on any clock that counts nanoseconds upwards: wall time, or CPU service delivered to the guest.
/// A plain value for one thread.
class deadline {
public:
    /// Starts at `start` and expires `budget` later; the soft phase begins `lead` before that, or never when the budget
    /// is not longer than the lead.
    constexpr deadline(nanos start, nanos budget, nanos lead) noexcept : start_(start), budget_(budget), lead_(lead) {}

    [[nodiscard]] constexpr nanos expiry() const noexcept {
        auto at = start_ + budget_;
        for (auto const& e : extensions())
            at = at + e.by;
        return at;
    }
    /// The next moment at which the phase changes; the expiry once it has passed.
    [[nodiscard]] constexpr nanos next_change(nanos now) const noexcept {
        auto const soft = soft_start();
        return now < soft ? soft : expiry();
    }
    [[nodiscard]] constexpr deadline_phase phase(nanos now) const noexcept {
        if (now >= expiry())
            return deadline_phase::expired;
        return now >= soft_start() ? deadline_phase::soft : deadline_phase::running;
    }
    /// Moves the expiry by `by` (which may be negative to shorten).
    constexpr void extend(extension_cause cause, nanos by, nanos at) noexcept {
        for (std::size_t i = 0; i < used_; ++i) {
            if (list_[i].cause == cause) {
                list_[i].by = list_[i].by + by;
                ++list_[i].times;
                return;
            }
        }
        list_[used_++] = {cause, by, at, 1};
    }
    /// Every cause that moved the deadline, in the order of their first move.
    [[nodiscard]] constexpr std::span<deadline_extension const> extensions() const noexcept {
        return std::span(list_).first(used_);
    }
    [[nodiscard]] constexpr nanos start() const noexcept { return start_; }
    [[nodiscard]] constexpr nanos budget() const noexcept { return budget_; }

private:
    [[nodiscard]] constexpr nanos soft_start() const noexcept {
        return budget_ > lead_ ? expiry() - lead_ : expiry();
    }

    nanos start_;
    nanos budget_;
    nanos lead_;
    std::array<deadline_extension, 5> list_{}; // one a cause
    std::size_t used_ = 0;
};

} // namespace ktstr
