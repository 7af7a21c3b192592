// SPDX-License-Identifier: Apache-2.0
/// \file
/// Copies to and from guest RAM that may span several regions (NUMA nodes), which one slice cannot.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/mem/guest_memory.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace ktstr {

/// Calls `use(slice, done)` for adjacent slices that together cover `[at, at + n)`, in order; `done` is the number of
/// bytes before the slice. Regions start and end on 4 KiB boundaries. `errc::out_of_range` with the first address that
/// is not RAM; slices before it have been used by then. `use` returns `result<>`; its error ends the walk.
template <GuestMemory M, class Use>
[[nodiscard]] result<> for_each_piece(M const& memory, gpa at, std::uint64_t n, Use&& use) noexcept {
    std::uint64_t done = 0;
    while (done < n) {
        auto const here = at + done;
        auto const left = n - done;
        if (auto const whole = memory.slice(here, left)) {
            KTSTR_CHECK(use(*whole, done));
            return {};
        }
        // The longest slice from here: as many whole pages as the region still has.
        std::uint64_t const first = 4096 - here.raw % 4096;
        std::uint64_t good = first < left ? first : left;
        KTSTR_TRY(auto piece, memory.slice(here, good));
        std::uint64_t bad = left;
        while (bad - good > 4096) {
            auto const middle = good + ((bad - good) / 2 + 4095) / 4096 * 4096;
            if (middle >= bad)
                break;
            if (auto const longer = memory.slice(here, middle)) {
                piece = *longer;
                good = middle;
            } else {
                bad = middle;
            }
        }
        KTSTR_CHECK(use(piece, done));
        done += piece.size();
    }
    return {};
}

/// Copies `data` to guest address `at`, across regions if need be.
template <GuestMemory M>
[[nodiscard]] result<> write_pieces(M const& memory, gpa at, std::span<std::byte const> data) noexcept {
    return for_each_piece(memory, at, data.size(), [&](std::span<std::byte> to, std::uint64_t done) -> result<> {
        std::memcpy(to.data(), data.data() + done, to.size());
        return {};
    });
}

/// Copies from guest address `at` into `out`, across regions if need be.
template <GuestMemory M>
[[nodiscard]] result<> read_pieces(M const& memory, gpa at, std::span<std::byte> out) noexcept {
    return for_each_piece(memory, at, out.size(), [&](std::span<std::byte> from, std::uint64_t done) -> result<> {
        std::memcpy(out.data() + done, from.data(), from.size());
        return {};
    });
}

} // namespace ktstr
