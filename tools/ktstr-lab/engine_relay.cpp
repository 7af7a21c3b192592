// SPDX-License-Identifier: Apache-2.0
// The engine's streams: bytes between descriptors here and channels of the lab, with credit both ways.
#include "ktstr-lab/engine_state.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace ktstr::lab {

engine::relay* engine::find_relay(std::uint32_t channel) {
    if (auto const at = jobs_.find(channel); at != jobs_.end())
        return &at->second->io;
    auto const at = connections_.find(channel);
    return at == connections_.end() ? nullptr : at->second.get();
}

void engine::read_input(std::uint32_t channel) {
    auto* const found = find_relay(channel);
    if (found == nullptr || !found->in)
        return;
    auto& r = *found;
    std::byte buffer[32768];
    auto const n = ::read(r.in.get(), buffer, std::min<std::uint64_t>(sizeof buffer, r.in_credit));
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        r.in.reset();
        link_.send(frame_type::stdin_data, channel);
        return;
    }
    r.in_credit -= static_cast<std::uint64_t>(n);
    link_.send(frame_type::stdin_data, channel, std::span<std::byte const>(buffer).first(static_cast<std::size_t>(n)));
}

void engine::write_output(std::uint32_t channel, bool is_err) {
    auto* const found = find_relay(channel);
    if (found == nullptr)
        return;
    auto& r = *found;
    auto& queue = is_err ? r.err_queue : r.out_queue;
    auto const& fd = is_err ? r.err : r.out;
    // After POLLOUT a pipe takes one page without blocking; the descriptor is not ours alone, so it stays blocking.
    constexpr std::size_t part = 4096;
    std::size_t done = 0;
    for (pollfd ready{fd.get(), POLLOUT, 0}; done < queue.size() && !r.broken && ::poll(&ready, 1, 0) == 1;) {
        auto const n = ::write(fd.get(), queue.data() + done, std::min(queue.size() - done, part));
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            break;
        r.broken = n < 0;
        done = n < 0 ? queue.size() : done + static_cast<std::size_t>(n);
    }
    queue.erase(queue.begin(), queue.begin() + static_cast<std::ptrdiff_t>(done));
    // Credit goes back in large parts: each frame wakes an emulated CPU.
    auto& owed = is_err ? r.err_owed : r.out_owed;
    owed += done;
    if (owed < output_window / 4)
        return;
    auto const stream = static_cast<std::uint16_t>(is_err ? frame_type::stderr_data : frame_type::stdout_data);
    (void)link_.send(frame_type::credit, channel, credit_message{stream, std::exchange(owed, 0)});
}

void engine::forward(unique_fd listening, std::string lab_path) {
    listeners_.push_back({std::move(listening), std::move(lab_path)});
}

void engine::accept_from(listener& from) {
    unique_fd fd(::accept4(from.fd.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd)
        return;
    auto const channel = next_channel_++;
    auto& r = *(connections_[channel] = std::make_unique<relay>());
    r.in = unique_fd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
    r.out = std::move(fd);
    (void)link_.send(frame_type::dial, channel, dial_message{output_window, from.lab_path});
}

} // namespace ktstr::lab
