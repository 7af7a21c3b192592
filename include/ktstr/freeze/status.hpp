// SPDX-License-Identifier: Apache-2.0
/// \file
/// The status word of one thread that may write guest memory, and the order word that all of them look at.
///
/// Both carry the freeze's generation, so nothing has to be drained or reset between freezes: an answer to another
/// generation is no answer.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace ktstr {

/// Where a thread is.
enum class thread_status : std::uint8_t {
    running, ///< In the guest or on its way in or out (a worker: waiting for work). Will call `returned()` before it writes.
    exiting, ///< In our code: may write guest memory on behalf of the guest.
    parked,  ///< Stopped for the generation it names.
    dead,    ///< Past its loop: will never write again.
};
inline constexpr std::array<char const*, 4> thread_status_names{"running", "exiting", "parked", "dead"};

/// A status word, taken apart. 32 bits: status 2, pending 1, generation 29.
struct thread_state {
    thread_status status = thread_status::running;
    bool pending = false;         ///< Parked with an exit that is not completed: memory is still, registers are not final.
    std::uint32_t generation = 0; ///< Meaningful when parked.

    [[nodiscard]] static constexpr thread_state unpack(std::uint32_t word) noexcept {
        return {static_cast<thread_status>(word & 3), (word & 4) != 0, word >> 3};
    }
    [[nodiscard]] constexpr std::uint32_t pack() const noexcept {
        return (generation << 3) | (pending ? 4U : 0U) | static_cast<std::uint32_t>(status);
    }
    /// Nothing of it changes guest memory in `wanted_generation`.
    [[nodiscard]] constexpr bool still(std::uint32_t wanted_generation) const noexcept {
        return status == thread_status::dead || (status == thread_status::parked && generation == wanted_generation);
    }
    /// Still, and with nothing left to complete.
    [[nodiscard]] constexpr bool settled(std::uint32_t wanted_generation) const noexcept {
        return still(wanted_generation) && !pending;
    }
    friend constexpr bool operator==(thread_state, thread_state) noexcept = default;
};

/// What the threads are asked for.
enum class freeze_phase : std::uint8_t {
    none,    ///< Run.
    quiesce, ///< Do not enter the guest; a thread with an exit in hand waits before it handles it.
    park,    ///< As before, and complete what is pending.
};

/// The order word, taken apart. 32 bits: phase 2, one unused, generation 29.
struct freeze_order {
    freeze_phase phase = freeze_phase::none;
    std::uint32_t generation = 0;

    [[nodiscard]] static constexpr freeze_order unpack(std::uint32_t word) noexcept {
        return {static_cast<freeze_phase>(word & 3), word >> 3};
    }
    [[nodiscard]] constexpr std::uint32_t pack() const noexcept {
        return (generation << 3) | static_cast<std::uint32_t>(phase);
    }
    friend constexpr bool operator==(freeze_order, freeze_order) noexcept = default;
};

/// Generations count from 1 and wrap here; an answer that is 2^29 freezes old does not exist.
inline constexpr std::uint32_t generation_mask = (1U << 29) - 1;

/// One thread's status on a cache line of its own: written by that thread, read by whoever freezes.
struct alignas(64) status_cell {
    std::atomic<std::uint32_t> word{0};
};

} // namespace ktstr
