// SPDX-License-Identifier: Apache-2.0
/// \file
/// Labs that have a name: their control sockets in the runtime folder, who serves them, and who calls them.
#pragma once

#include "ktstr-lab/engine.hpp"
#include "ktstr-lab/waiting.hpp"

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ktstr::lab {

/// Whether `name` can be a lab's name: letters, digits, '.', '_', '-', at most 64, not starting with '.' or '-'.
[[nodiscard]] bool good_name(std::string_view name) noexcept;

/// A name that is ours: its lock and listening socket, both gone with this object.
class name_claim {
public:
    /// Code 2 when a lab of that name runs already.
    [[nodiscard]] static outcome<name_claim> take(std::string const& name);
    name_claim(name_claim&&) noexcept = default;
    name_claim& operator=(name_claim&&) = delete;
    ~name_claim();
    [[nodiscard]] int listening() const noexcept { return listening_.get(); }
    [[nodiscard]] std::string const& name() const noexcept { return name_; }

private:
    name_claim() = default;
    unique_fd folder_, lock_, listening_;
    std::string name_;
};

/// A connection to the lab of that name; code 2 when there is none.
[[nodiscard]] outcome<unique_fd> call_lab(std::string const& name);

/// Names whose socket answers. Left-overs of killed labs are removed on the way.
[[nodiscard]] outcome<std::vector<std::string>> running_labs();

/// Answers the callers of one named lab. Lives on the engine's loop.
class name_server {
public:
    name_server(engine& serves, name_claim claim, std::string description);
    ~name_server();
    name_server(name_server const&) = delete;
    name_server& operator=(name_server const&) = delete;
    /// Whether somebody asked the lab to stop.
    [[nodiscard]] bool stop_asked() const noexcept { return stop_asked_; }
    /// CLOCK_MONOTONIC of the last time somebody called or a job ended.
    [[nodiscard]] std::int64_t last_use() const noexcept { return last_use_; }

private:
    struct caller;
    void accept_caller();
    void serve(int fd);
    [[nodiscard]] result<> on_frame(caller& c, frame const& f);
    [[nodiscard]] result<> on_request(caller& c, frame const& f);
    void drop(int fd);

    engine& engine_;
    name_claim claim_;
    std::string description_; ///< JSON members without braces
    std::int64_t started_, last_use_;
    bool stop_asked_ = false;
    std::map<int, std::unique_ptr<caller>> callers_;
};

/// Sends one frame with descriptors beside it.
[[nodiscard]] outcome<> send_with_fds(int socket, frame_type type, std::span<std::byte const> payload, std::span<int const> fds);

} // namespace ktstr::lab
