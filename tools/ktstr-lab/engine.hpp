// SPDX-License-Identifier: Apache-2.0
/// \file
/// The one loop that serves a running lab machine: jobs, forwarded sockets, signals, deadlines. One thread.
#pragma once

#include "ktstr-lab/link.hpp"
#include "ktstr-lab/machine.hpp"
#include "ktstr-lab/transfer.hpp"
#include "ktstr-lab/waiting.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace ktstr::lab {

/// One command for the lab and what goes with it.
struct job_spec {
    std::vector<std::string> argv, env;
    std::string cwd;
    std::vector<carried_path> in, out;
    bool tty = false;
    std::uint16_t rows = 24, columns = 80;
    std::int64_t deadline = 0; ///< CLOCK_MONOTONIC; 0 = none
    unique_fd stdin_fd, stdout_fd, stderr_fd; ///< stdin may be none
};

/// How a job ended: the exit code to pass on, and a line for people when it is not the program's own.
struct job_result {
    int code = 0;
    std::string text;
};

/// Serves one machine.
class engine {
public:
    using done_function = std::function<void(job_result const&)>;

    engine(machine box, signal_gate const& gate);
    ~engine();
    engine(engine const&) = delete;
    engine& operator=(engine const&) = delete;

    /// Tells the machine time, entropy and its name and waits until it serves.
    [[nodiscard]] outcome<> greet(std::string const& name, std::int64_t deadline);

    /// Starts a job; `done` is called once, from `turn`. Never 0.
    std::uint32_t submit(job_spec spec, done_function done);
    /// Asks a job to end: signal now, kill after 5 s, given up after 7 s more. Its result is then `code` and `text`; what
    /// it left in its out folders is still fetched. A second call gives up at once.
    void end_job(std::uint32_t job, int code, int signal, std::string text);
    /// Passes a signal on to a job.
    void signal_job(std::uint32_t job, int number);
    void resize_job(std::uint32_t job, std::uint16_t rows, std::uint16_t columns);

    /// Relays every connection to the listening socket to the unix socket `lab_path` in the lab.
    void forward(unique_fd listening, std::string lab_path);
    /// Calls `act` from `turn` whenever `fd` is readable or hung up.
    void watch(int fd, std::function<void()> act) { watched_[fd] = std::move(act); }
    void unwatch(int fd) { watched_.erase(fd); }
    /// Calls `act` from `turn` with each signal taken from the gate.
    void on_signal(std::function<void(int)> act) { on_signal_ = std::move(act); }

    /// Waits for something to happen, at most until `deadline`, and serves it. A problem when the machine is gone; all jobs
    /// have then been answered.
    [[nodiscard]] outcome<> turn(std::int64_t deadline);

    /// One line for the emulator's monitor; what it says.
    [[nodiscard]] outcome<std::string> monitor(std::string const& line) { return box_.monitor(gate_, line, now_ns() + 5 * second); }

    [[nodiscard]] machine& box() noexcept { return box_; }
    [[nodiscard]] ready_message const& facts() const noexcept { return facts_; }
    [[nodiscard]] std::string const& console() const noexcept { return console_; }
    [[nodiscard]] bool has_job(std::uint32_t channel) const { return jobs_.contains(channel); }
    [[nodiscard]] std::size_t jobs() const noexcept { return jobs_.size(); }

private:
    struct relay;
    struct job;
    struct listener {
        unique_fd fd;
        std::string lab_path;
    };

    [[nodiscard]] result<> on_frame(frame const& f);
    void on_done(std::uint32_t channel, done_message const& m);
    void start_program(std::uint32_t channel, job& j);
    void fetch_next(std::uint32_t channel, job& j);
    void finish(std::uint32_t channel, job_result result);
    void fail_all(std::string const& why);
    void check_times(std::int64_t now);
    [[nodiscard]] relay* find_relay(std::uint32_t channel);
    void read_input(std::uint32_t channel);
    void write_output(std::uint32_t channel, bool is_err);
    void accept_from(listener& from);
    void free_space();

    machine box_;
    signal_gate const& gate_;
    frame_link link_;
    disk_space space_;
    std::map<std::uint32_t, std::unique_ptr<job>> jobs_;
    std::map<std::uint32_t, std::unique_ptr<relay>> connections_;
    std::vector<listener> listeners_;
    std::map<int, std::function<void()>> watched_;
    std::function<void(int)> on_signal_;
    ready_message facts_;
    bool ready_ = false;
    std::uint32_t fetching_ = 0; ///< the one job that uses the upper half of the disk
    std::uint32_t next_channel_ = 1;
    std::string console_;
};

} // namespace ktstr::lab
