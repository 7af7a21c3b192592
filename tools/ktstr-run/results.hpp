// SPDX-License-Identifier: Apache-2.0
/// \file
/// The folder of one run's artefacts: made once, only added to, never taken from an earlier run.
#pragma once

#include "support/problem.hpp"

#include <string>
#include <string_view>

namespace ktstr::tool {

/// A results folder that exists. Files in it appear complete or not at all.
class results_folder {
public:
    /// `<state>/runs/<UTC time>-<short id>`; `id` is what makes two runs in one second different.
    [[nodiscard]] static outcome<results_folder> make_new(std::uint64_t id);
    /// A folder the user named (made if need be); what is in it stays, except files of the names we write.
    [[nodiscard]] static outcome<results_folder> use(std::string path);

    [[nodiscard]] std::string const& path() const noexcept { return path_; }
    /// Publishes `content` as `name` in the folder. A full disk is a problem with exit code 99 that names the file.
    [[nodiscard]] outcome<> put(std::string_view name, std::string_view content) const;
    /// Removes the folder if nothing was put into it.
    void remove_if_empty() const noexcept;

private:
    explicit results_folder(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

/// Publishes `content` at `path`, which the user named with `option`; "-" is standard output.
[[nodiscard]] outcome<> put_file(std::string const& path, std::string_view content, std::string_view option);

/// Whether a file can appear at `path`: its folder is there and writable. Found before a machine starts (exit code 2).
[[nodiscard]] outcome<> check_writable(std::string const& path, std::string_view option);

} // namespace ktstr::tool
