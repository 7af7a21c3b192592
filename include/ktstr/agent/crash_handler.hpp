// SPDX-License-Identifier: Apache-2.0
/// \file
/// When the agent itself dies of a signal, the host is told before the machine leaves.
#pragma once

#include "ktstr/agent/ending.hpp"
#include "ktstr/base/endian.hpp"
#include "ktstr/wire/frame.hpp"
#include "ktstr/wire/messages.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <signal.h>
#include <span>
#include <unistd.h>

namespace ktstr::agent {

namespace detail {
/// All that the signal handler may touch. A handler has no argument to carry it, so it is the agent's one global.
struct crash_context {
    std::atomic<int> port{-1};
    std::atomic<std::uint32_t> sequence{0};
    std::atomic<std::uint8_t> phase{0};
    std::atomic<bool> leave{true};
};
inline crash_context crash_state;

/// The payload of wire::crash without an allocation; the layout is that of its `describe`.
[[nodiscard]] inline std::array<std::byte, 13> crash_payload(std::int32_t signal, std::uint64_t address,
                                                             std::uint8_t phase) noexcept {
    std::array<std::byte, 13> out{};
    le32 const s = static_cast<std::uint32_t>(signal);
    le64 const a = address;
    std::memcpy(out.data(), s.raw.data(), 4);
    std::memcpy(out.data() + 4, a.raw.data(), 8);
    out[12] = std::byte{phase};
    return out;
}

inline void on_crash(int signal, siginfo_t* info, void*) noexcept {
    int const port = crash_state.port.exchange(-1);
    if (port >= 0) {
        auto const payload = crash_payload(signal, reinterpret_cast<std::uintptr_t>(info->si_addr), crash_state.phase);
        auto const header =
            wire::make_header(static_cast<std::uint16_t>(wire::message_type::crash), crash_state.sequence, payload);
        std::array<std::byte, sizeof header + payload.size()> frame;
        std::memcpy(frame.data(), static_cast<void const*>(&header), sizeof header);
        std::memcpy(frame.data() + sizeof header, payload.data(), payload.size());
        [[maybe_unused]] auto const ignored = ::write(port, frame.data(), frame.size());
    }
    if (crash_state.leave)
        leave_machine(leave_by::reboot);
    ::_exit(128 + signal);
}
} // namespace detail

/// From now on a fatal signal of this process sends `crash` on `port` and leaves the machine (with `leave` false, only
/// the process ends: tests).
inline void install_crash_handler(int port, bool leave = true) noexcept {
    detail::crash_state.port = port;
    detail::crash_state.leave = leave;
    struct sigaction action{};
    action.sa_sigaction = detail::on_crash;
    action.sa_flags = SA_SIGINFO | static_cast<int>(SA_RESETHAND);
    for (int const s : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS})
        ::sigaction(s, &action, nullptr);
}

/// Keeps the handler's idea of phase and sequence fresh.
inline void note_crash_context(wire::agent_phase phase, std::uint32_t sequence) noexcept {
    detail::crash_state.phase = static_cast<std::uint8_t>(phase);
    detail::crash_state.sequence = sequence;
}

/// Undoes `install_crash_handler` in a child: its death is its own.
inline void drop_crash_handler() noexcept {
    detail::crash_state.port = -1;
    for (int const s : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS})
        ::signal(s, SIG_DFL);
}

} // namespace ktstr::agent
