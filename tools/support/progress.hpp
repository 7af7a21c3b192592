// SPDX-License-Identifier: Apache-2.0
/// \file
/// What the user sees while waiting: one line that updates itself on a terminal, plain lines elsewhere, nothing if quiet.
#pragma once

#include "ktstr/base/units.hpp"
#include "support/quantity.hpp"
#include "support/terminal.hpp"

#include <ctime>
#include <string>
#include <string_view>
#include <unistd.h>

namespace ktstr::tool {

/// How a progress report looks.
enum class progress_style { terminal, plain, quiet };

/// The style for messages on `fd`.
[[nodiscard]] inline progress_style progress_style_for(int fd, bool quiet) {
    if (quiet)
        return progress_style::quiet;
    return ::isatty(fd) == 1 ? progress_style::terminal : progress_style::plain;
}

/// Tells which phase we are in and how long it may still take. One thread only.
class progress {
public:
    progress(int fd, progress_style style) : fd_(fd), style_(style), start_(now()) {}
    progress(progress const&) = delete;
    progress& operator=(progress const&) = delete;
    ~progress() { clear(); }

    /// A new phase begins ("kernel", "agent", "workers", ...); `expected` is how long it should take, 0 if unknown.
    void phase(std::string_view name, nanos expected = {}) {
        name_ = name;
        phase_start_ = now();
        expected_ = expected;
        if (style_ == progress_style::plain)
            line("[" + elapsed() + "] " + name_);
        else
            tick();
    }
    /// The point in time (from the start of this object) at which everything ends at the latest.
    void limit(nanos from_start) { limit_ = from_start; }
    /// Redraws; call it about ten times a second. Costs nothing except on a terminal.
    void tick() {
        if (style_ != progress_style::terminal || name_.empty())
            return;
        auto text = "[" + elapsed() + "] " + name_;
        auto const in_phase = now() - phase_start_;
        if (expected_.raw > 0 && in_phase < expected_)
            text += ", " + tenths(expected_ - in_phase) + " to go";
        else if (limit_.raw > 0)
            text += ", limit in " + tenths(limit_ - (now() - start_));
        auto const width = terminal_width(fd_);
        if (text.size() >= width)
            text.resize(width - 1);
        put("\r\033[K" + text);
        drawn_ = true;
    }
    /// A line that stays (also when plain); nothing when quiet.
    void line(std::string_view text) {
        if (style_ == progress_style::quiet)
            return;
        clear();
        put(std::string(text) + '\n');
        tick();
    }
    /// Removes the updating line, before other output goes to the terminal.
    void clear() {
        if (drawn_)
            put("\r\033[K");
        drawn_ = false;
    }
    /// No more updating line; `line` still works.
    void finish() {
        clear();
        name_.clear();
    }

private:
    [[nodiscard]] static nanos now() {
        timespec t{};
        ::clock_gettime(CLOCK_MONOTONIC, &t);
        return nanos{t.tv_sec * 1'000'000'000 + t.tv_nsec};
    }
    [[nodiscard]] static std::string tenths(nanos t) {
        auto const n = t.raw < 0 ? 0 : t.raw / 100'000'000;
        return std::to_string(n / 10) + '.' + std::to_string(n % 10) + 's';
    }
    [[nodiscard]] std::string elapsed() const {
        auto text = tenths(now() - start_);
        text.insert(0, text.size() < 6 ? 6 - text.size() : 0, ' ');
        return text;
    }
    void put(std::string_view text) const {
        while (!text.empty()) {
            auto const n = ::write(fd_, text.data(), text.size());
            if (n <= 0)
                return;
            text.remove_prefix(static_cast<std::size_t>(n));
        }
    }

    int fd_;
    progress_style style_;
    nanos start_;
    nanos phase_start_{};
    nanos expected_{};
    nanos limit_{};
    std::string name_;
    bool drawn_ = false;
};

} // namespace ktstr::tool
