// SPDX-License-Identifier: Apache-2.0
/// \file
/// What the terminal behind a descriptor can do: colour, width, raw mode.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

namespace ktstr::tool {

/// Whether output to `fd` is coloured: never with NO_COLOR (non-empty), always with CLICOLOR_FORCE (set and not "0"),
/// else on a terminal that is not "dumb".
[[nodiscard]] inline bool use_colour(int fd) {
    auto const* no = std::getenv("NO_COLOR");
    if (no != nullptr && no[0] != '\0')
        return false;
    auto const* force = std::getenv("CLICOLOR_FORCE");
    if (force != nullptr && std::string_view(force) != "0" && force[0] != '\0')
        return true;
    auto const* term = std::getenv("TERM");
    return ::isatty(fd) == 1 && !(term != nullptr && std::string_view(term) == "dumb");
}

/// Columns of the terminal at `fd`; 80 when it does not say.
[[nodiscard]] inline unsigned terminal_width(int fd) {
    winsize size{};
    if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col != 0)
        return size.ws_col;
    return 80;
}

/// The few colours we use; `plain` is what a reader without colour gets.
enum class colour { plain, good, bad, warn, dim, bold };

/// `text` in `how`, or unchanged unless `coloured`.
[[nodiscard]] inline std::string paint(std::string_view text, colour how, bool coloured) {
    if (!coloured || how == colour::plain)
        return std::string(text);
    char const* start = "";
    switch (how) {
    case colour::good: start = "\033[32m"; break;
    case colour::bad: start = "\033[31m"; break;
    case colour::warn: start = "\033[33m"; break;
    case colour::dim: start = "\033[2m"; break;
    case colour::bold: start = "\033[1m"; break;
    case colour::plain: break;
    }
    return std::string(start).append(text).append("\033[0m");
}

/// Holds a terminal in raw mode; the old mode comes back in the destructor. On anything else it does nothing.
class raw_terminal {
public:
    explicit raw_terminal(int fd) : fd_(fd) {
        if (::isatty(fd) != 1 || ::tcgetattr(fd, &old_) != 0)
            return;
        termios raw = old_;
        ::cfmakeraw(&raw);
        active_ = ::tcsetattr(fd, TCSADRAIN, &raw) == 0;
    }
    raw_terminal(raw_terminal const&) = delete;
    raw_terminal& operator=(raw_terminal const&) = delete;
    ~raw_terminal() {
        if (active_)
            ::tcsetattr(fd_, TCSADRAIN, &old_);
    }
    [[nodiscard]] bool active() const noexcept { return active_; }

private:
    int fd_;
    termios old_{};
    bool active_ = false;
};

} // namespace ktstr::tool
