// SPDX-License-Identifier: Apache-2.0
/// \file
/// The host's end of the guest's console ports and UARTs: bounded, thread-safe, read by the supervisor.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/dev/byte_sink.hpp"
#include "ktstr/sys/fd.hpp"
#include "ktstr/sys/mutex.hpp"
#include "ktstr/virtio/console/device.hpp"
#include "ktstr/virtio/console/port_host.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <sys/types.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace ktstr::tool {

/// What the guest said and nobody read yet, and what is kept of its console. Writers are vCPU and I/O threads.
class guest_output {
public:
    /// Message bytes that may wait; beyond that the guest waits.
    static constexpr std::size_t message_room = 4U << 20;
    /// Console bytes kept: the last ones.
    static constexpr std::size_t console_kept = 4U << 20;

    [[nodiscard]] static result<std::shared_ptr<guest_output>> make(int console_fd, int terminal_fd) {
        auto out = std::make_shared<guest_output>();
        KTSTR_TRY(out->event_, unique_fd::eventfd());
        out->console_fd_ = console_fd;
        out->terminal_fd_ = terminal_fd;
        return out;
    }

    /// Readable while messages wait.
    [[nodiscard]] int event_fd() const noexcept { return event_.get(); }

    /// Takes the waiting message bytes; true when the guest had been told to wait and may go on.
    [[nodiscard]] bool take_messages(std::vector<std::byte>& to) {
        std::uint64_t count = 0;
        [[maybe_unused]] auto const ignored = ::read(event_.get(), &count, sizeof count);
        to.clear();
        mutex_guard const hold(lock_);
        to.swap(messages_);
        return std::exchange(full_, false);
    }

    /// What is kept of the console, oldest first.
    [[nodiscard]] std::string console() {
        mutex_guard const hold(lock_);
        return console_.text();
    }
    /// All bytes the guest ever wrote to its consoles.
    [[nodiscard]] std::uint64_t console_bytes() {
        mutex_guard const hold(lock_);
        return console_.total();
    }

    void put_console(std::span<std::byte const> data) noexcept {
        mutex_guard const hold(lock_);
        console_.put(data);
        live(console_fd_, data);
    }
    /// Output of hvc0: console, and the terminal of a shell.
    void put_terminal(std::span<std::byte const> data) noexcept {
        mutex_guard const hold(lock_);
        console_.put(data);
        live(console_fd_, data);
        if (shell_open_.load(std::memory_order_relaxed))
            live(terminal_fd_, data);
    }
    void put_message(std::span<std::byte const> data) noexcept {
        {
            mutex_guard const hold(lock_);
            messages_.insert(messages_.end(), data.begin(), data.end());
            if (messages_.size() >= message_room)
                full_ = true;
        }
        std::uint64_t const one = 1;
        [[maybe_unused]] auto const ignored = ::write(event_.get(), &one, sizeof one);
    }
    [[nodiscard]] bool has_room() noexcept {
        mutex_guard const hold(lock_);
        if (messages_.size() >= message_room)
            full_ = true;
        return !full_;
    }
    /// From now on hvc0 shows on the user's terminal.
    void open_terminal() noexcept { shell_open_.store(true, std::memory_order_relaxed); }

private:
    /// A copy for somebody who watches; what a closed or full descriptor refuses is lost, the run goes on.
    static void live(int fd, std::span<std::byte const> data) noexcept {
        if (fd >= 0)
            fd_byte_sink{fd}.put(data);
    }

    mutex lock_;
    std::vector<std::byte> messages_;
    tail_byte_sink console_{console_kept};
    bool full_ = false;
    std::atomic<bool> shell_open_{false};
    int console_fd_ = -1;
    int terminal_fd_ = -1;
    unique_fd event_;
};

/// The ports of the virtio console: model of `PacedPortHost`.
struct guest_ports {
    std::shared_ptr<guest_output> to;

    void on_output(std::uint32_t port, std::span<std::byte const> data) noexcept {
        if (port == console_message_port)
            to->put_message(data);
        else
            to->put_terminal(data);
    }
    void on_open(std::uint32_t, bool) noexcept {}
    [[nodiscard]] bool ready_for(std::uint32_t) noexcept { return to->has_room(); }
};
static_assert(PacedPortHost<guest_ports>);

/// A UART whose output belongs to the console, or to nobody.
struct serial_output {
    std::shared_ptr<guest_output> to;
    void put(std::span<std::byte const> data) noexcept {
        if (to)
            to->put_console(data);
    }
};
static_assert(ByteSink<serial_output>);

} // namespace ktstr::tool
