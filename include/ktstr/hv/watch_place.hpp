// SPDX-License-Identifier: Apache-2.0
/// \file
/// Hardware watchpoints without an architecture: what is watched, and what a debug exit says about it.
#pragma once

#include "ktstr/base/units.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace ktstr {

/// Watchpoints that a vCPU has on every architecture we know.
inline constexpr std::size_t watch_slots = 4;

/// One watchpoint register: stores of any part of `size` bytes at `address` stop the vCPU.
struct watch_place {
    gva address{};        ///< A multiple of `size`.
    std::uint8_t size = 0; ///< 1, 2, 4, 8; 0: not in use.
    friend constexpr bool operator==(watch_place const&, watch_place const&) noexcept = default;
};

/// All watchpoint registers of a vCPU.
using watch_places = std::array<watch_place, watch_slots>;

/// What a debug exit is about.
struct debug_cause {
    std::uint32_t slots = 0; ///< Bit i: watchpoint i was hit.
    bool foreign = false;    ///< Something that is not ours as well, or instead: the guest's own single step.
    friend constexpr bool operator==(debug_cause, debug_cause) noexcept = default;
};

} // namespace ktstr
