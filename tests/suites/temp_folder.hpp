// SPDX-License-Identifier: Apache-2.0
/// \file
/// A folder of its own for a test, gone with everything in it when the test ends.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

/// Makes a fresh folder under TMPDIR (/tmp without it) and removes it on destruction.
class temp_folder {
public:
    temp_folder() {
        auto const* base = std::getenv("TMPDIR");
        std::string name = std::string(base != nullptr ? base : "/tmp") + "/ktstr-test-XXXXXX";
        if (::mkdtemp(name.data()) != nullptr)
            path_ = name;
    }
    temp_folder(temp_folder const&) = delete;
    temp_folder& operator=(temp_folder const&) = delete;
    ~temp_folder() {
        std::error_code ignored;
        if (!path_.empty())
            std::filesystem::remove_all(path_, ignored);
    }

    /// The path of `name` inside the folder.
    [[nodiscard]] std::string at(std::string const& name) const { return path_ + "/" + name; }
    [[nodiscard]] std::string const& path() const { return path_; }
    /// How many entries the folder has.
    [[nodiscard]] std::size_t entries() const {
        std::size_t n = 0;
        for ([[maybe_unused]] auto const& entry : std::filesystem::directory_iterator(path_))
            ++n;
        return n;
    }

private:
    std::string path_;
};
