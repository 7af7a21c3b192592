// SPDX-License-Identifier: Apache-2.0
/// \file
/// Where our own programs lie.
#pragma once

#include <array>
#include <climits>
#include <string>
#include <unistd.h>

namespace ktstr::tool {

/// The running program's file; empty without /proc.
[[nodiscard]] inline std::string own_program() {
    std::array<char, PATH_MAX> path{};
    auto const n = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
    return n > 0 ? std::string(path.data(), static_cast<std::size_t>(n)) : std::string();
}

/// ktstr-lab: beside the running program, or in its place in the build tree; empty when it is in neither.
[[nodiscard]] inline std::string lab_program() {
    auto const own = own_program();
    auto const folder = own.substr(0, own.rfind('/'));
    for (auto const& candidate : {folder + "/ktstr-lab", folder + "/../ktstr-lab/ktstr-lab"})
        if (::access(candidate.c_str(), X_OK) == 0)
            return candidate;
    return {};
}

} // namespace ktstr::tool
