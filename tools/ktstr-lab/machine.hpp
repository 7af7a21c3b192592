// SPDX-License-Identifier: Apache-2.0
/// \file
/// The emulated machine: its QEMU process, what it is started with, and the few words of QMP we speak.
#pragma once

#include "ktstr-lab/waiting.hpp"

#include <cstdint>
#include <string>

namespace ktstr::lab {

/// What a lab machine looks like. Every field is part of the name of its snapshot.
struct machine_config {
    unsigned cpus = 1;
    std::uint64_t memory_mib = 4096;
    bool virtual_time = false; ///< one instruction = 2 ns of its clock, whatever the host does
};

/// Files that a machine is started from; all absolute.
struct machine_files {
    std::string qemu, firmware, libraries, kernel, initrd;
    std::string snapshot; ///< "" = boot
};

/// Size of the transfer disk; a sparse memfd, so only what is on it costs memory.
inline constexpr std::uint64_t transfer_size = 64ULL << 30;
inline constexpr std::uint64_t transfer_half = transfer_size / 2; ///< below: into the lab; above: out of it

/// A running QEMU. Its end closes everything; the kernel ends it when we die.
class machine {
public:
    [[nodiscard]] static outcome<machine> start(machine_config const& config, machine_files const& files);

    [[nodiscard]] int control() const noexcept { return control_.get(); } ///< frames; non-blocking stream socket
    [[nodiscard]] int serial() const noexcept { return serial_.get(); } ///< kernel console; non-blocking
    [[nodiscard]] int disk() const noexcept { return disk_.get(); }
    [[nodiscard]] int ended() const noexcept { return process_.pidfd(); } ///< readable once QEMU has ended
    [[nodiscard]] pid_t pid() const noexcept { return process_.pid(); }

    /// Sends one QMP command (JSON text) and waits for its return; the return line.
    [[nodiscard]] outcome<std::string> qmp(signal_gate const& gate, std::string const& command, std::int64_t deadline);
    /// One line for QEMU's human monitor; what it says.
    [[nodiscard]] outcome<std::string> monitor(signal_gate const& gate, std::string const& line, std::int64_t deadline);
    /// Continues the machine saved at `path`, for a machine that was started with a snapshot.
    [[nodiscard]] outcome<> load(signal_gate const& gate, std::string const& path, std::int64_t deadline);
    /// Writes the machine to `path`; QEMU then only waits to be ended.
    [[nodiscard]] outcome<> save(signal_gate const& gate, std::string const& path, std::int64_t deadline);
    /// What QEMU said on stderr.
    [[nodiscard]] std::string complaint() const;

private:
    child process_;
    unique_fd control_, serial_, qmp_, disk_, stderr_;
    std::string qmp_buffer_;
    bool qmp_ready_ = false;
};

} // namespace ktstr::lab
