// SPDX-License-Identifier: Apache-2.0
/// \file
/// Frames over a non-blocking stream socket: a queue out, a decoder in.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/lab/frame.hpp"
#include "ktstr/lab/messages.hpp"

#include <cerrno>
#include <cstdint>
#include <span>
#include <sys/socket.h>
#include <type_traits>
#include <unistd.h>
#include <utility>
#include <vector>

namespace ktstr::lab {

/// One end of a frame stream; borrows its descriptor.
class frame_link {
public:
    explicit frame_link(int fd) noexcept : fd_(fd) {}

    void send(frame_type type, std::uint32_t channel, std::span<std::byte const> payload = {}) {
        append_frame(queue_, type, channel, payload);
        flush();
    }
    /// `errc::no_space` when the message is longer than a frame.
    template <class M>
        requires(!std::is_convertible_v<M const&, std::span<std::byte const>>)
    result<> send(frame_type type, std::uint32_t channel, M const& message) {
        KTSTR_TRY(auto const raw, encode_message(message));
        send(type, channel, std::span<std::byte const>(raw));
        return {};
    }
    /// Whether POLLOUT is of interest.
    [[nodiscard]] bool wants_write() const noexcept { return sent_ < queue_.size(); }
    [[nodiscard]] std::size_t queued() const noexcept { return queue_.size() - sent_; }
    /// Writes what the socket takes now. A broken socket shows in `pump`.
    void flush() {
        while (sent_ < queue_.size()) {
            auto const n = ::send(fd_, queue_.data() + sent_, queue_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n <= 0)
                break;
            sent_ += static_cast<std::size_t>(n);
        }
        if (sent_ == queue_.size()) {
            queue_.clear();
            sent_ = 0;
        } else if (sent_ > (1U << 20)) {
            queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(sent_));
            sent_ = 0;
        }
    }
    /// Reads what is there and calls `on_frame(frame const&) -> result<>`. False at the end of the stream.
    template <class F>
    [[nodiscard]] result<bool> pump(F&& on_frame) {
        std::byte buffer[65536];
        for (int rounds = 0; rounds < 16; ++rounds) {
            auto const n = ::recv(fd_, buffer, sizeof buffer, MSG_DONTWAIT);
            if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return true;
            if (n < 0 && errno != ECONNRESET)
                return os_fail("lab.link.recv");
            if (n <= 0)
                return false;
            KTSTR_CHECK(decoder_.feed(std::span(buffer).first(static_cast<std::size_t>(n)), on_frame));
        }
        return true;
    }

private:
    int fd_;
    std::vector<std::byte> queue_;
    std::size_t sent_ = 0;
    frame_decoder decoder_;
};

} // namespace ktstr::lab
