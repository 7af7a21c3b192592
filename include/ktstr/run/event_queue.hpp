// SPDX-License-Identifier: Apache-2.0
/// \file
/// Events from vCPU threads to the supervisor: bounded, lock-free, without allocation after construction.
///
/// boost::lockfree::queue with a fixed capacity is multi-producer: every vCPU of a machine shares one queue, and the
/// supervisor looks at one place however many vCPUs there are. (One spsc_queue a vCPU would be a little cheaper to
/// push, and dearer to watch; events are rare, so watching counts.)
///
/// Hazard: the queue's free list (Boost 1.74 detail/freelist.hpp, fixed_size_freelist::allocate) reads the successor of
/// a free node that another producer may just have taken, and throws the value away when its tagged compare-and-swap
/// then fails. It is an aligned 16-bit load, so it cannot tear; to the thread sanitizer it is a race.
#pragma once

#include <atomic>
#include <boost/lockfree/queue.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>

namespace ktstr {

/// A queue of at most `Capacity` events. Any thread pushes; one thread pops.
template <class Event, std::size_t Capacity = 256>
    requires std::is_trivially_copyable_v<Event>
class event_queue {
public:
    /// Adds `event`; false, and counted as dropped, when the queue is full. Never blocks.
    bool push(Event const& event) noexcept {
        if (queue_.bounded_push(event))
            return true;
        dropped_.fetch_add(1, std::memory_order_relaxed);
        return false;
    }
    /// The oldest event, if any.
    [[nodiscard]] std::optional<Event> pop() noexcept {
        Event out;
        if (!queue_.pop(out))
            return std::nullopt;
        return out;
    }
    /// Events that found the queue full.
    [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_.load(std::memory_order_relaxed); }

private:
    boost::lockfree::queue<Event, boost::lockfree::capacity<Capacity>> queue_;
    std::atomic<std::uint64_t> dropped_{0};
};

} // namespace ktstr
