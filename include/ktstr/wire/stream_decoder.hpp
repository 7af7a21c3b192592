// SPDX-License-Identifier: Apache-2.0
/// \file
/// Finds the intact frames in a stream of bytes from a peer that is not trusted.
#pragma once

#include "ktstr/wire/frame.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace ktstr::wire {

/// What a decoder has seen so far.
struct decoder_counts {
    std::uint64_t bytes = 0;        ///< Bytes fed.
    std::uint64_t frames = 0;       ///< Intact frames handed out.
    std::uint64_t garbage = 0;      ///< Bytes that belong to no intact frame.
    std::uint64_t bad_headers = 0;  ///< Magic found, but version, length or head CRC wrong.
    std::uint64_t bad_payloads = 0; ///< Header right, full CRC wrong: the frame had no effect.
    std::uint64_t gaps = 0;         ///< Jumps in the sequence numbers of intact frames.
};

/// Cuts a byte stream into frames and resynchronises after anything that is not one.
///
/// Memory grows by received bytes only, never by an announced length, and holds at most one unfinished frame plus the
/// chunk just fed. Work is linear in the bytes fed: after a bad payload the decoder looks for frames *inside* it while
/// its budget of re-read bytes (8 times what it was fed, plus 1 MiB) lasts, and skips the whole frame afterwards.
/// One thread at a time; the callback must not feed the same decoder.
class stream_decoder {
public:
    /// Takes `data` and calls `on_frame(frame_view)` for each frame that is now complete and intact.
    template <class F>
    void feed(std::span<std::byte const> data, F&& on_frame) {
        counts_.bytes += data.size();
        buffer_.insert(buffer_.end(), data.begin(), data.end());
        scan(on_frame, false);
    }

    /// The stream has ended: an unfinished frame can never become whole, so what follows its header is searched too.
    template <class F>
    void finish(F&& on_frame) {
        scan(on_frame, true);
        counts_.garbage += buffer_.size() - at_;
        buffer_.clear();
        at_ = 0;
    }

    [[nodiscard]] decoder_counts const& counts() const noexcept { return counts_; }
    /// Bytes held back because they may be the beginning of a frame.
    [[nodiscard]] std::size_t pending() const noexcept { return buffer_.size() - at_; }

private:
    void skip(std::size_t n) noexcept {
        at_ += n;
        counts_.garbage += n;
    }

    /// Moves to the next place where the magic begins, whole or cut off by the end of the buffer.
    void seek_magic() noexcept {
        auto const left = std::span(buffer_).subspan(at_);
        std::size_t i = 0;
        for (; i < left.size(); ++i) {
            auto const* const hit = static_cast<std::byte const*>(
                std::memchr(left.data() + i, static_cast<int>(frame_magic[0]), left.size() - i));
            if (hit == nullptr) {
                i = left.size();
                break;
            }
            i = static_cast<std::size_t>(hit - left.data());
            auto const n = std::min(frame_magic.size(), left.size() - i);
            if (std::memcmp(hit, frame_magic.data(), n) == 0)
                break;
        }
        skip(i);
    }

    template <class F>
    void scan(F& on_frame, bool ended) {
        for (;;) {
            seek_magic();
            auto const left = std::span<std::byte const>(buffer_).subspan(at_);
            if (left.size() < sizeof(frame_header)) {
                if (!ended || left.empty())
                    break;
                skip(1);
                continue;
            }
            frame_header header;
            std::memcpy(static_cast<void*>(&header), left.data(), sizeof header);
            if (header.version.get() != protocol_version || header.length.get() > max_payload ||
                header.head_crc.get() != crc32(left.first(16))) {
                ++counts_.bad_headers;
                skip(1);
                continue;
            }
            auto const whole = sizeof header + header.length.get();
            if (left.size() < whole) {
                if (!ended)
                    break;
                ++counts_.bad_payloads;
                skip(sizeof header);
                continue;
            }
            auto const payload = left.subspan(sizeof header, header.length.get());
            reread_ += payload.size();
            if (header.full_crc.get() != crc32(payload, header.head_crc.get())) {
                ++counts_.bad_payloads;
                skip(reread_ <= 8 * counts_.bytes + (1U << 20) ? sizeof header : whole);
                continue;
            }
            if (counts_.frames != 0 && header.sequence.get() != next_)
                ++counts_.gaps;
            next_ = header.sequence.get() + 1;
            ++counts_.frames;
            at_ += whole;
            on_frame(frame_view{header.type.get(), header.sequence.get(), payload});
        }
        if (at_ > buffer_.size() / 2) {
            buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(at_));
            at_ = 0;
        }
    }

    std::vector<std::byte> buffer_;
    std::size_t at_ = 0;
    std::uint64_t reread_ = 0;
    std::uint32_t next_ = 0;
    decoder_counts counts_;
};

} // namespace ktstr::wire
