// SPDX-License-Identifier: Apache-2.0
/// \file
/// Watching without hardware: looks at the values on a timer. For machines whose watchpoints do not fire.
///
/// What it cannot do: a value that was stored and stored over between two looks is not seen, neither is a store of the
/// value that was there; and the vCPU that stored has gone on since. Reports say "polled".
#pragma once

#include "ktstr/freeze/watch.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace ktstr {

/// Compares the values of a set's places with those of the last look. The supervisor's thread.
class watch_poller {
public:
    /// Looks once; calls `on_hit(slot, value)` for each slot that asks for a freeze. The first look at a slot after it was
    /// armed only remembers.
    template <GuestMemory M, class F>
    void look(watch_set& set, M const& memory, F&& on_hit) {
        ++looks_;
        for (std::uint32_t i = 0; i < watch_slots; ++i) {
            auto& before = last_[i];
            if (!set.armed(i)) {
                before = {};
                continue;
            }
            auto const& request = set.request(i);
            std::optional<std::uint64_t> value;
            if (request.place)
                value = read_watched(memory, *request.place, request.size);
            if (!value) {
                blind_ |= 1U << i;
                continue;
            }
            blind_ &= ~(1U << i);
            bool const same_place = before.place == request.place && before.size == request.size;
            bool const changed = same_place && before.value != *value;
            before = {request.place, request.size, *value};
            if (changed && set.polled(i, *value))
                on_hit(i, *value);
        }
    }
    /// Slots that cannot be looked at: their request has no place, or it is no RAM.
    [[nodiscard]] std::uint32_t blind() const noexcept { return blind_; }
    [[nodiscard]] std::uint64_t looks() const noexcept { return looks_; }

private:
    struct seen {
        std::optional<gpa> place{};
        std::uint8_t size = 0;
        std::uint64_t value = 0;
    };
    std::array<seen, watch_slots> last_{};
    std::uint32_t blind_ = 0;
    std::uint64_t looks_ = 0;
};

} // namespace ktstr
