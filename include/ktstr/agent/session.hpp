// SPDX-License-Identifier: Apache-2.0
/// \file
/// The agent's side of the message port: sending, receiving, and the phase it is in.
#pragma once

#include "ktstr/agent/folder.hpp"
#include "ktstr/agent/kmsg.hpp"
#include "ktstr/base/clock.hpp"
#include "ktstr/sys/fd.hpp"
#include "ktstr/sys/io.hpp"
#include "ktstr/wire/any_message.hpp"
#include "ktstr/wire/stream_decoder.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <poll.h>
#include <span>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <vector>

namespace ktstr::agent {

/// The name of the message port in the machine.
inline constexpr std::string_view message_port_name = "ktstr.msg";
/// The most output bytes in one frame.
inline constexpr std::size_t output_chunk = 32 * 1024;

/// Guest time now.
[[nodiscard]] inline std::uint64_t guest_now() noexcept {
    return static_cast<std::uint64_t>(monotonic_clock{}.now().raw);
}

/// The device file of the virtio port called `name`, looked for at most `patience_ns`; `errc::timeout` after that.
/// The name arrives some time after the driver has bound, hence the wait.
[[nodiscard]] inline result<std::string> find_port(std::string_view name, std::uint64_t patience_ns) {
    auto const until = guest_now() + patience_ns;
    for (;;) {
        if (auto const ports = list_folder("/sys/class/virtio-ports"))
            for (auto const& port : *ports) {
                auto text = read_file(("/sys/class/virtio-ports/" + port + "/name").c_str(), 256);
                while (text && text->ends_with('\n'))
                    text->pop_back();
                auto device = "/dev/" + port;
                if (text && *text == name && ::access(device.c_str(), R_OK | W_OK) == 0)
                    return device;
            }
        if (guest_now() >= until)
            return fail(errc::timeout, "virtio-ports", patience_ns);
        ::usleep(5000);
    }
}

/// The conversation with the host. One thread. A session without a port drops what it is told to send.
class session {
public:
    /// What the host has asked for so far.
    struct requests {
        bool go = false;
        bool stop = false;
        bool resized = false; ///< Set by a window_size message; whoever acts on it clears it.
        std::uint16_t rows = 24, columns = 80;
        std::vector<std::byte> input; ///< Standard input not yet passed on.
        bool input_end = false;
        std::vector<wire::snapshot_reply> snapshot_replies; ///< Not yet taken by whoever waits for them.
    };

    /// Uses `port`, any stream descriptor.
    void attach(unique_fd port) noexcept { port_ = std::move(port); }
    [[nodiscard]] int fd() const noexcept { return port_.get(); }
    [[nodiscard]] requests& asked() noexcept { return asked_; }
    [[nodiscard]] wire::agent_phase at() const noexcept { return at_; }
    [[nodiscard]] std::uint32_t sequence() const noexcept { return sequence_; }
    [[nodiscard]] bool host_gone() const noexcept { return gone_; }

    /// What the current step is about; travels with an error.
    std::string detail;

    /// Sends one message. A host that went away is noted, not an error: the agent ends its work and leaves.
    template <class Message>
    void send(Message const& message) {
        if (!port_ || gone_)
            return;
        scratch_.clear();
        wire::encode_message(message, sequence_++, scratch_);
        if (!write_all(port_.get(), scratch_))
            gone_ = true;
    }

    /// Enters phase `p` and says so.
    void enter(wire::agent_phase p) {
        at_ = p;
        detail.clear();
        send(wire::phase{p, guest_now()});
    }

    /// Sends `data` as output of `from`, in pieces.
    void send_output(wire::stream from, std::span<std::byte const> data) {
        while (!data.empty()) {
            auto const n = data.size() < output_chunk ? data.size() : output_chunk;
            wire::output piece;
            piece.from = from;
            piece.data.assign(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(n));
            send(piece);
            data = data.subspan(n);
        }
    }

    /// One line of the agent's own log.
    void log(std::string_view text) {
        std::string line(text);
        line.push_back('\n');
        send_output(wire::stream::log, std::as_bytes(std::span(line.data(), line.size())));
    }

    /// Sends what the kernel has logged since the last call.
    void send_kernel_log() {
        kernel_text_.clear();
        if (kmsg_.drain(kernel_text_)) {
            wire::kernel_log message;
            auto const raw = std::as_bytes(std::span(kernel_text_.data(), kernel_text_.size()));
            message.data.assign(raw.begin(), raw.end());
            send(message);
        }
    }
    /// Opens the kernel log for `send_kernel_log`.
    void open_kernel_log() noexcept { kmsg_.open(); }

    /// Takes in what the host has sent, waiting at most `timeout_ms` for it, and for `others` to become ready.
    void pump(int timeout_ms, std::span<pollfd> others = {}) {
        std::vector<pollfd> watched(others.begin(), others.end());
        watched.push_back({gone_ ? -1 : port_.get(), POLLIN, 0});
        int const n = ::poll(watched.data(), watched.size(), timeout_ms);
        for (std::size_t i = 0; i < others.size(); ++i)
            others[i].revents = n > 0 ? watched[i].revents : short{0};
        auto const seen = n > 0 ? watched.back().revents : short{0};
        if ((seen & POLLIN) != 0) {
            std::byte chunk[4096];
            auto const got = ::read(port_.get(), chunk, sizeof chunk);
            if (got > 0) {
                in_.feed({chunk, static_cast<std::size_t>(got)}, [this](wire::frame_view frame) { take(frame); });
                return;
            }
            if (got == 0 || (errno != EINTR && errno != EAGAIN))
                gone_ = true;
        } else if ((seen & (POLLHUP | POLLERR)) != 0) {
            gone_ = true;
        }
    }

private:
    void take(wire::frame_view frame) {
        auto const message = wire::decode_host_message(frame);
        if (!message)
            return;
        if (std::holds_alternative<wire::go>(*message))
            asked_.go = true;
        else if (std::holds_alternative<wire::stop_request>(*message))
            asked_.stop = true;
        else if (auto const* const data = std::get_if<wire::stdin_data>(&*message)) {
            asked_.input.insert(asked_.input.end(), data->data.begin(), data->data.end());
            asked_.input_end |= data->end;
        } else if (auto const* const size = std::get_if<wire::window_size>(&*message)) {
            asked_.rows = size->rows;
            asked_.columns = size->columns;
            asked_.resized = true;
        } else if (auto const* const reply = std::get_if<wire::snapshot_reply>(&*message)) {
            // A host that answers what nobody asked must not fill our memory.
            if (asked_.snapshot_replies.size() < 64)
                asked_.snapshot_replies.push_back(*reply);
        }
    }

    unique_fd port_;
    std::uint32_t sequence_ = 0;
    bool gone_ = false;
    wire::agent_phase at_ = wire::agent_phase::start;
    wire::stream_decoder in_;
    requests asked_;
    std::vector<std::byte> scratch_;
    kmsg_reader kmsg_;
    std::string kernel_text_;
};

} // namespace ktstr::agent
