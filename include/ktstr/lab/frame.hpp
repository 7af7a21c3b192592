// SPDX-License-Identifier: Apache-2.0
/// \file
/// The frames between the host and the lab machine: header layout, encoding, and the decoder of the byte stream.
///
///     offset size  field
///          0    4  magic    "KLAB"
///          4    2  type     frame_type
///          6    2  version  1
///          8    4  channel  0 = the machine itself, otherwise a job, a transfer or a forwarded connection
///         12    4  length   bytes of payload that follow, at most 65536
///
/// All fields little endian. The carrier (virtio-serial, unix socket) is reliable, so a wrong header is no line noise but
/// a broken peer: the decoder stops for good.
#pragma once

#include "ktstr/base/cursor.hpp"
#include "ktstr/base/endian.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace ktstr::lab {

inline constexpr std::uint32_t frame_magic = 0x42414c4b; // "KLAB" as bytes
inline constexpr std::uint16_t frame_version = 1;
inline constexpr std::size_t frame_payload_max = 65536;

/// What a frame says. Numbers are the format and never change their meaning.
enum class frame_type : std::uint16_t {
    hello = 1,       ///< host -> lab: time, entropy, name (messages.hpp: hello_message)
    ready = 2,       ///< lab -> host: the machine serves (ready_message)
    put = 3,         ///< host -> lab: make this file, folder or link (put_message); answered by done
    get = 4,         ///< host -> lab: send this file or folder (get_message); answered by entries, then done
    entry = 5,       ///< lab -> host: one file, folder or link of a get (put_message with the place of its content)
    done = 6,        ///< lab -> host: a put, get or dial ended (done_message)
    spawn = 7,       ///< host -> lab: start a program (spawn_message)
    stdin_data = 8,  ///< host -> lab: bytes for the program or the connection; empty = end
    stdout_data = 9, ///< lab -> host: bytes of the program or the connection; empty = end
    stderr_data = 10, ///< lab -> host: bytes of the program's stderr; empty = end
    credit = 11,     ///< both: the peer may send so many bytes more on this channel (credit_message)
    signal = 12,     ///< host -> lab: send a signal to the program (signal_message)
    winsize = 13,    ///< host -> lab: new size of the program's terminal (winsize_message)
    exited = 14,     ///< lab -> host: the program ended (exited_message)
    dial = 15,       ///< host -> lab: connect to a unix socket (dial_message); answered by done
    hang_up = 16,    ///< both: the connection is gone; host -> lab for a program: kill it and all it started
    request = 17,    ///< client -> lab's owner on the host: one command (request_message)
    outcome = 18,    ///< owner -> client: exit code and text (outcome_message)
    query = 19,      ///< client -> owner: describe yourself; answered by outcome
    stop = 20,       ///< client -> owner: end the lab; answered by outcome
    console = 21,    ///< client -> owner: the kernel's console; answered by outcome
    monitor = 22,    ///< client -> owner: one line for the emulator's monitor (outcome_message); answered by outcome
};
inline constexpr std::uint16_t frame_type_max = 22;

struct frame_header {
    le32 magic;
    le16 type;
    le16 version;
    le32 channel;
    le32 length;
};
static_assert(sizeof(frame_header) == 16 && alignof(frame_header) == 1);

/// One decoded frame; `payload` is borrowed.
struct frame {
    frame_type type;
    std::uint32_t channel;
    std::span<std::byte const> payload;
};

/// Appends one frame to `out`; `payload` must not be longer than `frame_payload_max`.
inline void append_frame(std::vector<std::byte>& out, frame_type type, std::uint32_t channel,
                         std::span<std::byte const> payload) {
    frame_header const header{frame_magic, static_cast<std::uint16_t>(type), frame_version, channel,
                              static_cast<std::uint32_t>(payload.size())};
    auto const raw = bytes_of(header);
    out.insert(out.end(), raw.begin(), raw.end());
    out.insert(out.end(), payload.begin(), payload.end());
}

/// Checks a header's every field. `errc::bad_format` names the field by `where`; the value is what stood there.
[[nodiscard]] constexpr result<> check_header(frame_header const& header) noexcept {
    if (header.magic != frame_magic)
        return fail(errc::bad_format, "lab.frame.magic", header.magic);
    if (header.version != frame_version)
        return fail(errc::unsupported, "lab.frame.version", header.version);
    if (header.type == 0 || header.type > frame_type_max)
        return fail(errc::bad_format, "lab.frame.type", header.type);
    if (header.length > frame_payload_max)
        return fail(errc::bad_format, "lab.frame.length", header.length);
    return {};
}

/// Turns a byte stream into frames. After the first error it stays failed and gives that error again.
class frame_decoder {
public:
    /// Takes `data` and calls `on_frame(frame const&) -> result<>` for every complete frame. Payloads live until
    /// `on_frame` returns. An error of `on_frame` ends the stream as well.
    template <class F>
    [[nodiscard]] result<> feed(std::span<std::byte const> data, F&& on_frame) {
        if (failed_)
            return std::unexpected(error_);
        pending_.insert(pending_.end(), data.begin(), data.end());
        std::size_t at = 0;
        auto const stop = [&](error const& e) {
            failed_ = true;
            error_ = e;
            pending_.clear();
            return std::unexpected(e);
        };
        while (pending_.size() - at >= sizeof(frame_header)) {
            frame_header header;
            std::memcpy(&header, pending_.data() + at, sizeof header);
            if (auto const good = check_header(header); !good)
                return stop(good.error());
            std::size_t const length = header.length;
            if (pending_.size() - at - sizeof header < length)
                break;
            frame const got{static_cast<frame_type>(header.type.get()), header.channel,
                            std::span<std::byte const>(pending_).subspan(at + sizeof header, length)};
            if (result<> const taken = on_frame(got); !taken)
                return stop(taken.error());
            at += sizeof header + length;
        }
        pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(at));
        return {};
    }

    /// Bytes of an incomplete frame that wait for the rest.
    [[nodiscard]] std::size_t pending() const noexcept { return pending_.size(); }

private:
    std::vector<std::byte> pending_;
    error error_{};
    bool failed_ = false;
};

} // namespace ktstr::lab
