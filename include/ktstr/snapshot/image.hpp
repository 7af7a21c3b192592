// SPDX-License-Identifier: Apache-2.0
/// \file
/// What a frozen machine consists of, as plain values: registers with names, RAM regions, clocks, and why it was frozen.
///
/// Whoever freezes fills these; sinks and readers only know these. Nothing here depends on a hypervisor.
#pragma once

#include "ktstr/base/units.hpp"
#include "ktstr/hv/guest_clocks.hpp"
#include "ktstr/hv/vcpu_record.hpp"
#include "ktstr/mem/region.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ktstr {

/// Where a Linux kernel lies, as far as somebody found out; debuggers need it to map virtual addresses. Zero: not known.
struct kernel_place {
    std::uint64_t text_virtual = 0;  ///< Virtual address of the kernel image's first byte (_text rounded down to 2 MiB).
    std::uint64_t text_physical = 0; ///< Guest physical address of the same byte.
    std::uint64_t text_size = 0;     ///< Bytes of the image mapping.
    std::uint64_t direct_map = 0;    ///< Virtual address at which physical address 0 is mapped (page_offset_base).
    friend bool operator==(kernel_place const&, kernel_place const&) noexcept = default;
};

/// What a snapshot says of itself before its first byte of memory.
struct snapshot_header {
    std::string_view arch{};          ///< "x86_64" or "aarch64".
    std::uint64_t generation = 0;     ///< Of the freeze, counted from 1 in its machine.
    std::string_view cause{};         ///< "request", "watch", "periodic", "host", "early", "error exit".
    std::string_view tag{};           ///< The name that whoever asked gave it; at most 63 bytes.
    nanos requested{};                ///< When the freeze was asked for, on the host's monotonic clock.
    nanos quiesced{};                 ///< When guest memory was still.
    nanos parked{};                   ///< When the last vCPU had acknowledged.
    clocks_held clocks{};
    std::string_view degraded{};      ///< Why not everything could be had; empty for a whole snapshot.
    std::span<ram_region const> ram{};
    std::span<vcpu_record const> vcpus{};
    std::string_view vmcoreinfo{};    ///< The text of the guest kernel's VMCOREINFO note; may be empty.
    kernel_place kernel{};
};

} // namespace ktstr
