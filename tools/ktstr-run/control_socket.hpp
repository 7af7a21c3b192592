// SPDX-License-Identifier: Apache-2.0
/// \file
/// The control socket of a running machine: `ktstr-run freeze` and `thaw` from another terminal.
///
/// A Unix stream socket in the runtime folder, for its owner alone: the folder has mode 0700, the socket 0600, and whoever
/// connects must have our user id. One command a connection, one line each way:
///     freeze [TAG]   the machine stands still until thaw; its picture is written as TAG; "ok FILE" or "error WHY"
///     thaw           "ok SECONDS" that it stood still
///     status         "ok running" or "ok frozen"
#pragma once

#include "ktstr/sys/fd.hpp"
#include "support/problem.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace ktstr::tool {

/// Longest line of the protocol.
inline constexpr std::size_t control_line = 256;

/// A connection with its command, to be answered once.
class control_request {
public:
    control_request(unique_fd connection, std::string command) : connection_(std::move(connection)), command_(std::move(command)) {}
    [[nodiscard]] std::string const& command() const noexcept { return command_; }
    void answer(std::string_view line) noexcept;

private:
    unique_fd connection_;
    std::string command_;
};

/// The machine's end. Removes its socket when destroyed.
class control_socket {
public:
    control_socket() noexcept = default;
    control_socket(control_socket const&) = delete;
    control_socket& operator=(control_socket const&) = delete;
    ~control_socket();

    /// Listens as `name` (a word of letters, digits, . _ -). A socket that nobody listens on any more is replaced.
    [[nodiscard]] outcome<> open(std::string const& name);
    /// For a poll set; -1 when closed.
    [[nodiscard]] int fd() const noexcept { return listener_.get(); }
    /// The next command, if a connection waits; waits at most a tenth of a second for its line.
    [[nodiscard]] std::optional<control_request> next() noexcept;

private:
    std::string path_;
    unique_fd listener_;
};

/// Sends one command to the machine called `name` and gives the rest of its "ok" line.
[[nodiscard]] outcome<std::string> send_control(std::string const& name, std::string const& command);

/// Whether `name` can be a machine's: 1 to 64 letters, digits, . _ -, not first a dot or dash.
[[nodiscard]] bool valid_machine_name(std::string_view name) noexcept;

} // namespace ktstr::tool
