// SPDX-License-Identifier: Apache-2.0
/// \file
/// The names in a folder, sorted.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"

#include <algorithm>
#include <dirent.h>
#include <string>
#include <vector>

namespace ktstr::agent {

/// The names in `path` without "." and "..", sorted bytewise.
[[nodiscard]] inline result<std::vector<std::string>> list_folder(char const* path) {
    DIR* const dir = ::opendir(path);
    if (dir == nullptr)
        return os_fail("opendir");
    std::vector<std::string> out;
    while (auto const* const entry = ::readdir(dir)) {
        std::string name = entry->d_name;
        if (name != "." && name != "..")
            out.push_back(std::move(name));
    }
    ::closedir(dir);
    std::sort(out.begin(), out.end());
    return out;
}

} // namespace ktstr::agent
