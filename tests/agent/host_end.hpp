// SPDX-License-Identifier: Apache-2.0
/// \file
/// The host's end of a session over a socket pair: a thread that records what the agent says.
#pragma once

#include "ktstr/agent/session.hpp"
#include "ktstr/wire/any_message.hpp"
#include "ktstr/wire/stream_decoder.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <signal.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <vector>

namespace fake {
using namespace ktstr;

class host_end {
public:
    /// `on_message(host_end&, message)` runs on the reading thread.
    using listener = void (*)(host_end&, wire::guest_message const&);
    explicit host_end(agent::session& guest, listener on_message = nullptr) {
        ::signal(SIGPIPE, SIG_IGN); // as agent_main does
        int ends[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
        guest.attach(unique_fd(ends[0]));
        fd_ = unique_fd(ends[1]);
        reader_ = std::thread([this, on_message, fd = ends[1]] {
            wire::stream_decoder decoder;
            std::byte chunk[65536];
            for (;;) {
                auto const n = ::read(fd, chunk, sizeof chunk);
                if (n <= 0)
                    break;
                decoder.feed({chunk, static_cast<std::size_t>(n)}, [this, on_message](wire::frame_view f) {
                    if (auto m = wire::decode_guest_message(f)) {
                        if (on_message != nullptr)
                            on_message(*this, *m);
                        messages_.push_back(std::move(*m));
                    }
                });
            }
            counts_ = decoder.counts();
        });
    }
    ~host_end() { close(); }

    template <class Message>
    void send(Message const& m) {
        std::vector<std::byte> out;
        wire::encode_message(m, sequence_++, out);
        REQUIRE(write_all(fd_.get(), out));
    }

    /// No more from either side; afterwards `messages` is complete.
    void close() {
        if (!reader_.joinable())
            return;
        ::shutdown(fd_.get(), SHUT_RDWR);
        reader_.join();
    }
    /// Waits until the guest has closed its end.
    void wait_for_end() {
        if (reader_.joinable())
            reader_.join();
    }

    std::vector<wire::guest_message> const& messages() {
        close();
        return messages_;
    }
    template <class Message>
    std::vector<Message> all() {
        std::vector<Message> out;
        for (auto const& m : messages())
            if (auto const* const one = std::get_if<Message>(&m))
                out.push_back(*one);
        return out;
    }
    std::string text(wire::stream from) {
        std::string out;
        for (auto const& o : all<wire::output>())
            if (o.from == from)
                out.append(reinterpret_cast<char const*>(o.data.data()), o.data.size());
        return out;
    }
    wire::decoder_counts const& counts() {
        close();
        return counts_;
    }

private:
    unique_fd fd_;
    std::thread reader_;
    std::uint32_t sequence_ = 0;
    std::vector<wire::guest_message> messages_;
    wire::decoder_counts counts_;
};
} // namespace fake
