// SPDX-License-Identifier: Apache-2.0
/// \file
/// The CMOS clock of a PC: current time in BCD, never "update in progress", no interrupts; the rest is plain memory.
///
/// Source: Motorola MC146818A data sheet; linux drivers/rtc/rtc-mc146818-lib.c and arch/x86/kernel/rtc.c.
#pragma once

#include "ktstr/dev/bus_device.hpp"
#include "ktstr/sys/mutex.hpp"

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <span>
#include <utility>

namespace ktstr {

// The `WallClock` policy: what time it is outside. Contract: `unix_seconds()` gives seconds since 1970-01-01 UTC, from
// any thread, without blocking. Models: `system_wall_clock`, `fixed_wall_clock`. Suite: tests/suites/wall_clock_suite.hpp.
namespace detail {
template <class C>
concept wall_clock_seconds = requires(C const& c) {
    { c.unix_seconds() } noexcept -> std::same_as<std::int64_t>;
};
} // namespace detail

/// A source of calendar time.
template <class C>
concept WallClock = detail::wall_clock_seconds<C>;

/// Fails to compile with one sentence per requirement that `C` misses.
template <class C>
consteval bool explain_wall_clock() {
    static_assert(detail::wall_clock_seconds<C>, "WallClock: missing `int64_t unix_seconds() const noexcept`");
    return WallClock<C>;
}

/// CLOCK_REALTIME of the host.
struct system_wall_clock {
    [[nodiscard]] std::int64_t unix_seconds() const noexcept {
        timespec ts{};
        ::clock_gettime(CLOCK_REALTIME, &ts);
        return ts.tv_sec;
    }
};
static_assert(WallClock<system_wall_clock>);

/// Always the same moment: tests, and guests whose run must not depend on the day.
struct fixed_wall_clock {
    std::int64_t at = 0;
    [[nodiscard]] std::int64_t unix_seconds() const noexcept { return at; }
};
static_assert(WallClock<fixed_wall_clock>);

/// A moment as a calendar shows it, UTC.
struct calendar_time {
    std::int64_t year = 1970;
    std::uint8_t month = 1, day = 1;                ///< From 1.
    std::uint8_t hour = 0, minute = 0, second = 0;
    std::uint8_t weekday = 4;                       ///< 0 = Sunday.
    friend constexpr bool operator==(calendar_time const&, calendar_time const&) noexcept = default;
};

/// The calendar date of a count of seconds since 1970; right for every year of the proleptic Gregorian calendar.
[[nodiscard]] constexpr calendar_time to_calendar(std::int64_t unix_seconds) noexcept {
    constexpr std::int64_t day_seconds = 86400;
    auto days = unix_seconds / day_seconds;
    auto rest = unix_seconds % day_seconds;
    if (rest < 0) {
        rest += day_seconds;
        --days;
    }
    // Count days from 0000-03-01, so that the leap day is the last of its year; 146097 days are 400 years.
    auto const z = days + 719468;
    auto const era = (z >= 0 ? z : z - 146096) / 146097;
    auto const in_era = z - era * 146097;
    auto const year_of_era = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    auto const day_of_year = in_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    auto const march_month = (5 * day_of_year + 2) / 153;
    auto const month = march_month < 10 ? march_month + 3 : march_month - 9;
    calendar_time out;
    out.year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
    out.month = static_cast<std::uint8_t>(month);
    out.day = static_cast<std::uint8_t>(day_of_year - (153 * march_month + 2) / 5 + 1);
    out.hour = static_cast<std::uint8_t>(rest / 3600);
    out.minute = static_cast<std::uint8_t>(rest / 60 % 60);
    out.second = static_cast<std::uint8_t>(rest % 60);
    auto const weekday = (days % 7 + 11) % 7; // 1970-01-01 was a Thursday
    out.weekday = static_cast<std::uint8_t>(weekday);
    return out;
}

/// Ports 0x70 (index) and 0x71 (data). Thread-safe; the guest cannot set the time, everything else is stored.
template <WallClock Time = system_wall_clock>
class cmos_rtc {
    static_assert(explain_wall_clock<Time>());

public:
    static constexpr std::uint64_t base = 0x70;
    static constexpr std::uint64_t window = 2;
    /// The registers that mean something here.
    enum class reg : std::uint8_t {
        second = 0x00, minute = 0x02, hour = 0x04, weekday = 0x06, day = 0x07, month = 0x08, year = 0x09,
        a = 0x0a, b = 0x0b, c = 0x0c, d = 0x0d, century = 0x32,
    };

    explicit cmos_rtc(Time time = {}) noexcept : time_(std::move(time)) {}

    void read(std::uint64_t offset, std::span<std::byte> data) noexcept {
        mutex_guard const lock(mutex_);
        for (std::size_t i = 0; i < data.size(); ++i)
            data[i] = offset + i == 1 ? std::byte{value(static_cast<reg>(index_))} : open_bus;
    }

    device_effect write(std::uint64_t offset, std::span<std::byte const> data) noexcept {
        mutex_guard const lock(mutex_);
        for (std::size_t i = 0; i < data.size(); ++i) {
            auto const byte = std::to_integer<std::uint8_t>(data[i]);
            if (offset + i == 0)
                index_ = byte & 0x7f; // bit 7 masks NMI
            else if (offset + i == 1)
                memory_[index_] = byte;
        }
        return device_effect::none;
    }

private:
    [[nodiscard]] static constexpr std::uint8_t bcd(std::int64_t n) noexcept {
        return static_cast<std::uint8_t>(n / 10 % 10 << 4 | n % 10);
    }

    [[nodiscard]] std::uint8_t value(reg r) const noexcept {
        auto const now = to_calendar(time_.unix_seconds());
        switch (r) {
        case reg::second: return bcd(now.second);
        case reg::minute: return bcd(now.minute);
        case reg::hour: return bcd(now.hour);
        case reg::weekday: return bcd(now.weekday + 1);
        case reg::day: return bcd(now.day);
        case reg::month: return bcd(now.month);
        case reg::year: return bcd(now.year % 100);
        case reg::century: return bcd(now.year / 100);
        case reg::a: return 0x26; // 32768 Hz time base, 1024 Hz rate, no update in progress
        case reg::b: return static_cast<std::uint8_t>((memory_[index_] & 0x78) | 0x02); // 24 hours, BCD, clock runs
        case reg::c: return 0;    // no interrupt is ever pending
        case reg::d: return 0x80; // the battery is good
        }
        return memory_[index_];
    }

    mutex mutex_;
    std::uint8_t index_ = 0;
    std::array<std::uint8_t, 128> memory_{};
    [[no_unique_address]] Time time_;
};
static_assert(BusDevice<cmos_rtc<>>);

} // namespace ktstr
