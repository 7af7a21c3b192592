// SPDX-License-Identifier: Apache-2.0
/// \file
/// The host's side of the conversation with the agent: messages out with back-pressure, standard input on its way in.
#pragma once

#include "ktstr-run/linux_machine.hpp"
#include "ktstr/wire/any_message.hpp"
#include "ktstr/wire/messages.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <unistd.h>
#include <vector>

namespace ktstr::tool {

/// Sends messages to the agent and bytes to the guest's terminal. Used by the supervisor only.
class guest_link {
public:
    explicit guest_link(machine_devices::console_type& console) : console_(console) {}

    /// Queues `message`; it goes out as soon as the guest has room.
    template <class Message>
    void send(Message const& message) {
        wire::encode_message(message, sequence_++, waiting_);
        flush();
    }
    /// Passes on what the guest did not take before.
    void flush() {
        drain(console_message_port, waiting_);
        drain(console_terminal_port, typed_);
    }
    /// Bytes for the terminal hvc0.
    void type(std::span<std::byte const> bytes) {
        typed_.insert(typed_.end(), bytes.begin(), bytes.end());
        flush();
    }
    /// Whether more input should be read from the user now.
    [[nodiscard]] bool wants_input() const noexcept { return waiting_.size() < 65536 && typed_.size() < 65536; }

private:
    void drain(std::uint32_t port, std::vector<std::byte>& from) {
        if (from.empty())
            return;
        if (auto const taken = console_.push_input(port, from))
            from.erase(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(*taken));
    }

    machine_devices::console_type& console_;
    std::uint32_t sequence_ = 0;
    std::vector<std::byte> waiting_;
    std::vector<std::byte> typed_;
};

/// The escape of an interactive terminal: Ctrl-a x ends the machine, Ctrl-a Ctrl-a (or Ctrl-a a) sends Ctrl-a.
class terminal_escape {
public:
    /// Moves what is for the guest from `typed` to `out`; true when the user asked for the end.
    [[nodiscard]] bool filter(std::span<std::byte const> typed, std::vector<std::byte>& out) {
        constexpr std::byte ctrl_a{1};
        for (auto const b : typed) {
            if (!pending_) {
                pending_ = b == ctrl_a;
                if (!pending_)
                    out.push_back(b);
                continue;
            }
            pending_ = false;
            if (b == std::byte{'x'})
                return true;
            if (b != ctrl_a && b != std::byte{'a'})
                out.push_back(ctrl_a);
            out.push_back(b == std::byte{'a'} ? ctrl_a : b);
        }
        return false;
    }

private:
    bool pending_ = false;
};

} // namespace ktstr::tool
