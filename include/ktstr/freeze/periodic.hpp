// SPDX-License-Identifier: Apache-2.0
/// \file
/// N captures inside the middle of a workload: where their boundaries are, and which of them is due.
///
///     0 %      10 %                                                   90 %    100 %
///     |---------|--------|------------|------------|------------|------|---------|
///     anchor    begin    #0           #1           #2  (N = 4)  #3     end
///
/// With duration d: margin = d / 10, window = d - 2 * margin, boundary i = margin + (i + 1) * window / (N + 1), divisions
/// cut off. Boundaries count workload time: pauses and frozen time are taken off. A capture that could not be taken at
/// its boundary is late, never left out, and never closer than the floor to the one before.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>

namespace ktstr {

/// What is wanted of the periodic captures.
struct periodic_options {
    std::uint32_t count = 0; ///< 0: none.
    nanos duration{};        ///< Of the workload.
    nanos floor = millis(100); ///< Least time between two of them.
};

/// The boundaries, as workload time from the workload's start. A plain value.
class periodic_boundaries {
public:
    /// Captures more than this make no sense in one run.
    static constexpr std::uint32_t max_count = 9999;

    /// `errc::invalid_argument` for a duration or floor that is not positive; `errc::out_of_range` when there are too many
    /// for the floor, with the largest count that fits.
    [[nodiscard]] static constexpr result<periodic_boundaries> make(periodic_options const& o) noexcept {
        periodic_boundaries out;
        if (o.count == 0)
            return out;
        if (o.duration.raw <= 0)
            return fail(errc::invalid_argument, "periodic.duration");
        if (o.floor.raw <= 0)
            return fail(errc::invalid_argument, "periodic.floor");
        auto const d = static_cast<std::uint64_t>(o.duration.raw);
        out.margin_ = d / 10;
        out.window_ = d - 2 * out.margin_;
        out.count_ = o.count;
        out.floor_ = o.floor;
        // Cutting off makes a gap at most 1 ns shorter than window / (N + 1) says; the test below allows for that.
        auto const fits = std::min<std::uint64_t>(out.window_ / static_cast<std::uint64_t>(o.floor.raw), std::uint64_t{max_count} + 1);
        auto const largest = fits == 0 ? 0 : fits - 1;
        if (o.count > largest)
            return fail(errc::out_of_range, "periodic.count", largest);
        return out;
    }

    [[nodiscard]] constexpr std::uint32_t count() const noexcept { return count_; }
    [[nodiscard]] constexpr nanos floor() const noexcept { return floor_; }
    /// Boundary `i`; `i` below `count`. Exact without wide numbers: with window = q * (N + 1) + r the product is split.
    [[nodiscard]] constexpr nanos at(std::uint32_t i) const noexcept {
        auto const parts = std::uint64_t{count_} + 1;
        auto const k = std::uint64_t{i} + 1;
        return nanos{static_cast<std::int64_t>(margin_ + (window_ / parts) * k + (window_ % parts) * k / parts)};
    }

private:
    std::uint64_t margin_ = 0;
    std::uint64_t window_ = 0;
    std::uint32_t count_ = 0;
    nanos floor_{};
};

/// Which capture is due. Times are the caller's clock, which must not go back. One thread.
class periodic_schedule {
public:
    /// Captures that failed one after the other until the rest is given up.
    static constexpr std::uint32_t give_up_after = 2;

    constexpr explicit periodic_schedule(periodic_boundaries boundaries = {}) noexcept : at_(boundaries) {}

    /// The workload starts. Only the first call counts.
    constexpr void start(nanos now) noexcept {
        if (!anchor_)
            anchor_ = now;
    }
    /// The workload pauses or goes on. A pause within a pause is one pause.
    constexpr void pause(nanos now) noexcept {
        if (!paused_since_)
            paused_since_ = now;
    }
    constexpr void resume(nanos now) noexcept {
        if (paused_since_)
            paused_ = sum(paused_, std::max(nanos{0}, now - *paused_since_));
        paused_since_.reset();
    }
    /// The machine stood still for `time` that counts as no workload.
    constexpr void frozen(nanos time) noexcept { paused_ = sum(paused_, std::max(nanos{0}, time)); }

    /// Workload time at `now`; nothing before the start.
    [[nodiscard]] constexpr std::optional<nanos> elapsed(nanos now) const noexcept {
        if (!anchor_)
            return std::nullopt;
        auto const until = paused_since_ ? std::min(*paused_since_, now) : now;
        auto const wall = static_cast<std::uint64_t>(until.raw) - static_cast<std::uint64_t>(anchor_->raw);
        if (until < *anchor_ || wall < static_cast<std::uint64_t>(paused_.raw))
            return nanos{0};
        auto const net = wall - static_cast<std::uint64_t>(paused_.raw);
        constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
        return nanos{static_cast<std::int64_t>(std::min(net, most))};
    }

    /// The capture that is due at `now`, if any. Asking changes nothing; `fired` or `failed` does.
    [[nodiscard]] constexpr std::optional<std::uint32_t> due(nanos now) const noexcept {
        auto const wait = time_left(now);
        if (!wait || wait->raw > 0)
            return std::nullopt;
        return next_;
    }
    /// When to ask next; nothing while the workload is paused or not started, and when there is nothing more to come.
    [[nodiscard]] constexpr std::optional<nanos> next_at(nanos now) const noexcept {
        auto const wait = time_left(now);
        if (!wait)
            return std::nullopt;
        return sum(now, std::max(nanos{0}, *wait));
    }

    /// The due capture was taken. `now` is when its freeze began.
    constexpr void fired(nanos now) noexcept {
        failures_ = 0;
        ++fired_;
        advance(now);
    }
    /// The due capture was tried and gave nothing.
    constexpr void failed(nanos now) noexcept {
        ++failures_;
        advance(now);
    }
    /// The machine is going away: nothing is due any more.
    constexpr void stop() noexcept { stopped_ = true; }

    [[nodiscard]] constexpr bool started() const noexcept { return anchor_.has_value(); }
    [[nodiscard]] constexpr std::uint32_t wanted() const noexcept { return at_.count(); }
    [[nodiscard]] constexpr std::uint32_t taken() const noexcept { return fired_; }
    /// Whether captures were given up because one after the other failed.
    [[nodiscard]] constexpr bool gave_up() const noexcept { return failures_ >= give_up_after; }

private:
    [[nodiscard]] static constexpr nanos sum(nanos a, nanos b) noexcept {
        std::int64_t out = 0;
        if (__builtin_add_overflow(a.raw, b.raw, &out))
            return nanos{std::numeric_limits<std::int64_t>::max()};
        return nanos{out};
    }
    constexpr void advance(nanos now) noexcept {
        if (next_ < at_.count())
            ++next_;
        last_ = elapsed(now);
    }
    /// Workload time until the next capture; not positive when it is due.
    [[nodiscard]] constexpr std::optional<nanos> time_left(nanos now) const noexcept {
        if (stopped_ || gave_up() || next_ >= at_.count() || paused_since_)
            return std::nullopt;
        auto const net = elapsed(now);
        if (!net)
            return std::nullopt;
        auto target = at_.at(next_);
        if (last_)
            target = std::max(target, sum(*last_, at_.floor()));
        return nanos{target - *net};
    }

    periodic_boundaries at_;
    std::optional<nanos> anchor_;
    std::optional<nanos> paused_since_;
    std::optional<nanos> last_;
    nanos paused_{};
    std::uint32_t next_ = 0;
    std::uint32_t fired_ = 0;
    std::uint32_t failures_ = 0;
    bool stopped_ = false;
};

} // namespace ktstr
