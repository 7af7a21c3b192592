// SPDX-License-Identifier: Apache-2.0
/// \file
/// The lab machine's side: pid 1 of the emulated machine, its files and its programs.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/lab/frame.hpp"
#include "ktstr/lab/messages.hpp"
#include "ktstr/sys/fd.hpp"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace ktstr::lab::guest {

/// Bytes the host may send on one channel before it hears a credit frame.
inline constexpr std::uint64_t input_window = 256U << 10;

/// Pid 1. Never returns while the machine is to live.
[[noreturn]] void init_main();

/// The control port: whole frames out. Blocks until the host has taken them; the host always drains.
class port {
public:
    explicit port(unique_fd fd) noexcept : fd_(std::move(fd)) {}
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    void send(frame_type type, std::uint32_t channel, std::span<std::byte const> payload) const;
    template <class M>
        requires(!std::is_convertible_v<M const&, std::span<std::byte const>>)
    void send(frame_type type, std::uint32_t channel, M const& message) const {
        auto const raw = encode_message(message);
        send(type, channel, raw ? std::span<std::byte const>(*raw) : std::span<std::byte const>());
    }

private:
    unique_fd fd_;
};

/// Makes the file, folder or link of `what`; content comes from the transfer disk `disk` (O_DIRECT).
/// The value of a failure is an errno.
[[nodiscard]] done_message put_entry(int disk, put_message const& what);
/// Sends the tree at `what.path`: content to the transfer disk, entries to the port.
[[nodiscard]] done_message get_tree(int disk, get_message const& what, port const& to, std::uint32_t channel);

/// A program or a forwarded connection.
struct job {
    bool program = true;
    int pid = -1;
    std::string cgroup;
    unique_fd in, out, err; ///< in and out may be one description (terminal, socket): then `in` is a duplicate
    std::vector<std::byte> pending; ///< for `in`
    bool input_ended = false, exited = false;
    std::uint64_t out_credit = 0, err_credit = 0;
    exited_message result;
};

/// All jobs, by channel.
class job_table {
public:
    explicit job_table(port const& to) noexcept : port_(to) {}

    void spawn(std::uint32_t channel, spawn_message const& what);
    void dial(std::uint32_t channel, dial_message const& what);
    void input(std::uint32_t channel, std::span<std::byte const> data);
    void credit(std::uint32_t channel, credit_message const& what);
    void signal(std::uint32_t channel, int number);
    void resize(std::uint32_t channel, winsize_message const& what);
    void hang_up(std::uint32_t channel);
    /// Collects ended children; call on SIGCHLD.
    void reap();

    /// Waits until `extra` descriptors or any job can go on (at most `timeout_ms`), and serves the jobs.
    /// `ready` receives for each of `extra` whether it is readable.
    void wait(std::span<int const> extra, std::span<bool> ready, int timeout_ms);

private:
    void serve_output(std::uint32_t channel, job& j, bool is_err);
    void serve_input(std::uint32_t channel, job& j);
    [[nodiscard]] bool finish_if_done(std::uint32_t channel, job& j);

    port const& port_;
    std::map<std::uint32_t, job> jobs_;
};

} // namespace ktstr::lab::guest
