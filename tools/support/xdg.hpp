// SPDX-License-Identifier: Apache-2.0
/// \file
/// The four folders of the XDG base directory specification that we use; no file of ours lies outside them.
#pragma once

#include "support/problem.hpp"

#include <cstdlib>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

namespace ktstr::tool {

/// Which of the XDG folders.
enum class xdg_folder { config, cache, state, runtime };

namespace detail {
struct xdg_row {
    char const* variable;
    char const* below_home; // runtime has no place below HOME
};
[[nodiscard]] constexpr xdg_row xdg_entry(xdg_folder which) noexcept {
    switch (which) {
    case xdg_folder::config: return {"XDG_CONFIG_HOME", "/.config"};
    case xdg_folder::cache: return {"XDG_CACHE_HOME", "/.cache"};
    case xdg_folder::state: return {"XDG_STATE_HOME", "/.local/state"};
    case xdg_folder::runtime: break;
    }
    return {"XDG_RUNTIME_DIR", nullptr};
}
} // namespace detail

/// Makes `path` and its parents (mode 0700 for those it makes); says which one failed.
[[nodiscard]] inline outcome<> make_folders(std::string const& path) {
    for (std::size_t at = 1; at != std::string::npos;) {
        at = path.find('/', at);
        auto const part = path.substr(0, at);
        if (at != std::string::npos)
            ++at;
        if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) {
            auto const number = errno;
            return problem_of(exit_code::harness, std::string("cannot make a folder: ") + std::strerror(number), part,
                              "make it writable for you, or point HOME or the XDG_*_HOME variable elsewhere");
        }
    }
    return {};
}

/// Our own folder below the XDG folder `which`, without making it: ".../ktstr".
/// The variable counts only when absolute (as the specification says); without it and without HOME this is a problem,
/// except for `runtime`, which then falls back to the state folder.
[[nodiscard]] inline outcome<std::string> xdg_path(xdg_folder which) {
    auto const row = detail::xdg_entry(which);
    if (auto const* value = std::getenv(row.variable); value != nullptr && value[0] == '/')
        return std::string(value) + "/ktstr";
    if (row.below_home == nullptr) {
        auto state = xdg_path(xdg_folder::state);
        if (!state)
            return state;
        return *state + "/runtime";
    }
    if (auto const* home = std::getenv("HOME"); home != nullptr && home[0] == '/')
        return std::string(home) + row.below_home + "/ktstr";
    return problem_of(exit_code::harness,
                      std::string("neither ") + row.variable + " nor HOME is set to an absolute path", "environment",
                      std::string("set HOME, or set ") + row.variable);
}

/// Our own folder below the XDG folder `which`, made if need be.
[[nodiscard]] inline outcome<std::string> xdg_make(xdg_folder which) {
    auto path = xdg_path(which);
    if (!path)
        return path;
    if (auto made = make_folders(*path); !made)
        return std::unexpected(made.error());
    return path;
}

} // namespace ktstr::tool
