// SPDX-License-Identifier: Apache-2.0
/// \file
/// Host files to and from the transfer disk: what goes in is listed and laid out; what comes out is checked and published.
#pragma once

#include "ktstr-lab/waiting.hpp"
#include "ktstr/lab/messages.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ktstr::lab {

/// One path that is carried: a host path and its name in the lab.
struct carried_path {
    std::string host, lab;
};

/// `path` as seen from the current folder.
[[nodiscard]] std::string absolute(std::string_view path);

/// "HOST[:LAB]" for a file that goes in; without LAB it becomes /in/NAME. The host path must exist (else code 2) and
/// becomes absolute.
[[nodiscard]] outcome<carried_path> parse_in(std::string_view text);
/// "HOST[:LAB]" for results that come out; without LAB it is /out. The host path becomes absolute.
[[nodiscard]] outcome<carried_path> parse_out(std::string_view text);

/// The place on the transfer disk that is not used yet; pages are given back when nothing is under way.
class disk_space {
public:
    explicit disk_space(int disk) noexcept : disk_(disk) {}
    [[nodiscard]] int disk() const noexcept { return disk_; }
    [[nodiscard]] outcome<std::uint64_t> take(std::uint64_t size);
    /// Frees everything below the middle of the disk.
    void clear_in() noexcept;
    /// Frees everything above it.
    void clear_out() noexcept;

private:
    int disk_;
    std::uint64_t next_ = 0;
};

/// Copies `what.host` (a file, or a folder with all in it) onto the disk and returns the messages that make it in the lab.
[[nodiscard]] outcome<std::vector<put_message>> lay_out(carried_path const& what, disk_space& space);

/// Writes what comes out of the lab below one host path. Names from the lab are not trusted: nothing is written outside.
class out_writer {
public:
    explicit out_writer(carried_path const& what) : what_(what) {}
    [[nodiscard]] outcome<> take(put_message const& entry, int disk);

private:
    carried_path what_;
    unique_fd top_;
};

} // namespace ktstr::lab
