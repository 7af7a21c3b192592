// SPDX-License-Identifier: Apache-2.0
/// \file
/// Guest RAM of two adjacent regions (as two NUMA nodes have it): no slice crosses the border.
#pragma once

#include "ktstr/mem/guest_memory.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace ktstr::test {

/// `[start, border)` and `[border, end)`; without a border inside it is one region. Filled with zeros.
class split_memory {
public:
    split_memory(gpa start, gpa border, gpa end)
        : start_(start), border_(border), end_(end), ram_(static_cast<std::size_t>(end - start)) {}

    [[nodiscard]] result<std::span<std::byte>> slice(gpa at, std::uint64_t n) const noexcept {
        auto const low = at >= border_ && border_ < end_ ? border_ : start_;
        auto const high = at < border_ ? border_ : end_;
        if (at < low || at > high || !fits(at - low, n, high - low))
            return fail(errc::out_of_range, "guest_memory", at.raw);
        return std::span(ram_).subspan(static_cast<std::size_t>(at - start_), static_cast<std::size_t>(n));
    }

private:
    gpa start_;
    gpa border_;
    gpa end_;
    mutable std::vector<std::byte> ram_;
};
static_assert(GuestMemory<split_memory>);

} // namespace ktstr::test
