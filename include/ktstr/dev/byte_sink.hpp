// SPDX-License-Identifier: Apache-2.0
/// \file
/// The `ByteSink` policy: where the bytes go that a serial port sends.
///
/// Contract: `put(data)` takes all of `data` and copies what it keeps; it is called with the device's lock held, from
/// whichever vCPU thread wrote, and must neither block for long, nor allocate without bound, nor call back into the
/// device: a guest can send for ever. Models: `null_byte_sink`, `fd_byte_sink`, `tail_byte_sink`.
/// Suite: tests/suites/byte_sink_suite.hpp.
#pragma once

#include <algorithm>
#include <cerrno>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <unistd.h>
#include <vector>

namespace ktstr {

namespace detail {
template <class S>
concept byte_sink_put = requires(S& s, std::span<std::byte const> data) {
    { s.put(data) } noexcept -> std::same_as<void>;
};
} // namespace detail

/// A receiver of bytes; see the contract at the top of this file.
template <class S>
concept ByteSink = detail::byte_sink_put<S>;

/// Fails to compile with one sentence per requirement that `S` misses.
template <class S>
consteval bool explain_byte_sink() {
    static_assert(detail::byte_sink_put<S>, "ByteSink: missing `void put(span<byte const>) noexcept`");
    return ByteSink<S>;
}

/// Drops everything.
struct null_byte_sink {
    void put(std::span<std::byte const>) noexcept {}
};
static_assert(ByteSink<null_byte_sink>);

/// Writes to a borrowed descriptor. Bytes that a non-blocking or broken descriptor refuses are counted and dropped.
struct fd_byte_sink {
    int fd = -1;
    std::uint64_t dropped = 0; ///< Bytes that could not be written.

    void put(std::span<std::byte const> data) noexcept {
        while (!data.empty()) {
            auto const n = ::write(fd, data.data(), data.size());
            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0) {
                dropped += data.size();
                return;
            }
            data = data.subspan(static_cast<std::size_t>(n));
        }
    }
};
static_assert(ByteSink<fd_byte_sink>);

/// Keeps the last `capacity` bytes: a bounded log of a guest that may never stop talking. Allocates once.
class tail_byte_sink {
public:
    explicit tail_byte_sink(std::size_t capacity) : ring_(capacity) {}

    void put(std::span<std::byte const> data) noexcept {
        total_ += data.size();
        if (data.size() > ring_.size())
            data = data.last(ring_.size());
        while (!data.empty()) {
            auto const n = std::min(data.size(), ring_.size() - at_);
            std::memcpy(ring_.data() + at_, data.data(), n);
            at_ = (at_ + n) % ring_.size();
            data = data.subspan(n);
        }
    }

    /// All bytes ever put.
    [[nodiscard]] std::uint64_t total() const noexcept { return total_; }
    /// Bytes that were pushed out by later ones.
    [[nodiscard]] std::uint64_t lost() const noexcept { return total_ > ring_.size() ? total_ - ring_.size() : 0; }
    /// What is kept, oldest first.
    [[nodiscard]] std::string text() const {
        auto const* const raw = reinterpret_cast<char const*>(ring_.data());
        // Once the ring has been filled, the oldest byte stands where the next one would go.
        if (total_ <= ring_.size())
            return std::string(raw, static_cast<std::size_t>(total_));
        std::string out(raw + at_, ring_.size() - at_);
        out.append(raw, at_);
        return out;
    }

private:
    std::vector<std::byte> ring_;
    std::size_t at_ = 0;
    std::uint64_t total_ = 0;
};
static_assert(ByteSink<tail_byte_sink>);

} // namespace ktstr
