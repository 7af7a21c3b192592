// SPDX-License-Identifier: Apache-2.0
/// \file
/// Stopping every thread of a machine that may write guest memory, and letting them go: by generation, one holder at a time.
///
/// Two promises with one kick: after `quiesce` guest memory is still (no guest instruction runs, no device handler of ours
/// is at work); after `park` every thread has acknowledged, too, with nothing left to complete, so registers can be read.
/// The protocol is checked exhaustively by tests/freeze/model_test.cpp; docs/architecture/freeze.md tells it in words.
#pragma once

#include "ktstr/base/clock.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/freeze/arrivals.hpp"
#include "ktstr/freeze/fence.hpp"
#include "ktstr/freeze/status.hpp"
#include "ktstr/run/control.hpp"
#include "ktstr/run/parker.hpp"
#include "ktstr/sys/futex.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <sched.h>
#include <utility>

namespace ktstr {

/// How a step of a freeze went.
enum class freeze_step : std::uint8_t {
    reached,   ///< As asked.
    timed_out, ///< Some thread did not answer; `rendezvous::state` says which.
    stopping,  ///< The machine is ending.
    unproven,  ///< Quiescence cannot be promised here (no barrier, or not by this fence): park instead.
};

template <Arrivals Hear, FreezeFence Fence>
class rendezvous;

/// The thread's end of a rendezvous; model of `Parker`. Cheap to copy; borrowed from its rendezvous.
template <class Rendezvous>
class freeze_point {
public:
    static constexpr bool enabled = true;

    freeze_point() noexcept = default;
    freeze_point(Rendezvous& all, std::size_t self) noexcept : all_(&all), self_(self) {}

    void entering() noexcept { all_->store(self_, {thread_status::running, false, 0}); }
    void returned() noexcept { all_->returned(self_); }
    [[nodiscard]] bool wanted() noexcept { return all_->order().phase != freeze_phase::none; }
    void park() noexcept { all_->park_thread(self_); }
    void settle() noexcept { all_->hold(self_); }
    void await() noexcept { all_->await_order(); }
    void ended() noexcept { all_->ended(self_); }

private:
    Rendezvous* all_ = nullptr;
    std::size_t self_ = 0;
};

/// All threads of one machine. The holder's calls (`claim` to `release`) come from one thread at a time.
template <Arrivals Hear = futex_arrivals, FreezeFence Fence = asymmetric_fence>
class rendezvous {
public:
    using point_type = freeze_point<rendezvous>;

    /// For `threads` threads of the machine that `control` stops. Each of them counts as running until it says otherwise.
    [[nodiscard]] static result<std::unique_ptr<rendezvous>> make(std::size_t threads, run_control const& control) {
        auto out = std::unique_ptr<rendezvous>(new rendezvous(threads, control));
        KTSTR_CHECK(out->hear_.prepare());
        out->barrier_ = Fence::prepare().has_value();
        return out;
    }

    [[nodiscard]] std::size_t threads() const noexcept { return count_; }
    [[nodiscard]] point_type point(std::size_t thread) noexcept { return point_type(*this, thread); }
    /// Where `thread` is. From any thread.
    [[nodiscard]] thread_state state(std::size_t thread) const noexcept {
        return thread_state::unpack(cells_[thread].word.load(std::memory_order_acquire));
    }
    /// What the threads are asked for now. From any thread.
    [[nodiscard]] freeze_order order() const noexcept {
        return freeze_order::unpack(order_.load(std::memory_order_seq_cst));
    }

    // The holder.

    /// Becomes the holder of a new freeze; false while another one is held.
    [[nodiscard]] bool claim() noexcept {
        if (held_.exchange(true, std::memory_order_acquire))
            return false;
        auto const last = generation();
        generation_.store(last == generation_mask ? 1 : last + 1, std::memory_order_relaxed);
        return true;
    }
    [[nodiscard]] bool held() const noexcept { return held_.load(std::memory_order_acquire); }
    /// The freeze that is held, or was held last. From any thread.
    [[nodiscard]] std::uint32_t generation() const noexcept { return generation_.load(std::memory_order_relaxed); }

    /// Sends the order and kicks everybody: `kick(i)` must make thread `i` look at its point soon, whatever it does.
    /// Returns when guest memory is still, or not known to become so.
    template <class Kick, Clock Time>
    [[nodiscard]] freeze_step quiesce(Kick&& kick, nanos until, Time const& clock) noexcept {
        auto const own = generation();
        auto const alive = living();
        hear_.expect(own, alive);
        give({freeze_phase::quiesce, own});
        for (std::size_t i = 0; i < count_; ++i)
            kick(i);
        bool const fenced = barrier_ && Fence::heavy();
        // Whoever died after it was counted and before the order came did not hear of it: we arrive in its place.
        for (auto n = living(); n < alive; ++n)
            hear_.arrived(own);
        if (!fenced || !Fence::stops_guests)
            return freeze_step::unproven;
        for (unsigned turn = 0;; ++turn) {
            if (none_exiting())
                return freeze_step::reached;
            if (control_.stopping())
                return freeze_step::stopping;
            if (turn > 64 && clock.now() >= until)
                return freeze_step::timed_out;
            if (turn < 64)
                ::sched_yield();
            else
                hear_.wait(nanos{50'000});
        }
    }

    /// After `quiesce`, whatever it said: lets threads complete what they have in hand and waits until all of them are
    /// settled. Those that are not are kicked again every 10 ms.
    template <class Kick, Clock Time>
    [[nodiscard]] freeze_step park(Kick&& kick, nanos until, Time const& clock) noexcept {
        auto const own = generation();
        give({freeze_phase::park, own});
        futex_wake_all(order_);
        return wait_for([this, own](std::size_t i) { return state(i).settled(own); },
                        [&](std::size_t i) { kick(i); }, until, clock);
    }

    /// Lets everybody go and waits until nobody stands still for this generation any more; then somebody else may claim.
    template <Clock Time>
    [[nodiscard]] freeze_step release(nanos until, Time const& clock) noexcept {
        auto const own = generation();
        auto const stands = [this, own](std::size_t i) {
            auto const s = state(i);
            return s.status == thread_status::parked && s.generation == own;
        };
        auto const standing = [&] {
            std::uint32_t n = 0;
            for (std::size_t i = 0; i < count_; ++i)
                n += stands(i);
            return n;
        };
        auto const parked = standing();
        hear_.expect(own | departure, parked);
        // Whoever went on by itself meanwhile (we gave up on it in the middle of its park) may have come too early to be heard.
        for (auto n = standing(); n < parked; ++n)
            hear_.arrived(own | departure);
        give({freeze_phase::none, own});
        thawed_.store(own, std::memory_order_release);
        futex_wake_all(thawed_);
        futex_wake_all(order_);
        auto const done = wait_for([&](std::size_t i) { return !stands(i); }, [](std::size_t) {}, until, clock);
        held_.store(false, std::memory_order_release);
        return done;
    }

private:
    friend point_type;
    static constexpr std::uint32_t departure = 1U << 31; // tells the two waits of a generation apart
    static constexpr nanos look_again = millis(10);
    static constexpr nanos nap = millis(100); // a sleeping thread looks at the machine's end this often

    rendezvous(std::size_t threads, run_control const& control)
        : control_(control), cells_(std::make_unique<status_cell[]>(threads)), count_(threads) {}

    void give(freeze_order o) noexcept { order_.store(o.pack(), std::memory_order_seq_cst); }

    [[nodiscard]] std::uint32_t living() const noexcept {
        std::uint32_t n = 0;
        for (std::size_t i = 0; i < count_; ++i)
            n += state(i).status != thread_status::dead;
        return n;
    }
    [[nodiscard]] bool none_exiting() const noexcept {
        for (std::size_t i = 0; i < count_; ++i)
            if (state(i).status == thread_status::exiting)
                return false;
        return true;
    }

    template <class Done, class Nudge, Clock Time>
    freeze_step wait_for(Done done, Nudge nudge, nanos until, Time const& clock) noexcept {
        auto next = clock.now() + look_again;
        std::size_t first = 0; // everybody before it is done
        for (;;) {
            while (first < count_ && done(first))
                ++first;
            if (first == count_)
                return freeze_step::reached;
            if (control_.stopping())
                return freeze_step::stopping;
            auto const now = clock.now();
            if (now >= until)
                return freeze_step::timed_out;
            if (now >= next) {
                for (auto i = first; i < count_; ++i)
                    if (!done(i))
                        nudge(i);
                next = now + look_again;
            }
            hear_.wait(std::min(next - now, until - now));
        }
    }

    // The threads.

    void store(std::size_t self, thread_state s) noexcept {
        cells_[self].word.store(s.pack(), std::memory_order_release);
    }
    /// Seen by everybody before the thread goes on: where it was asleep, a barrier costs nothing, and a holder that gave up
    /// on it must not count it as standing still.
    void store_at_once(std::size_t self, thread_state s) noexcept {
        cells_[self].word.exchange(s.pack(), std::memory_order_seq_cst);
    }
    void publish_exiting(std::size_t self) noexcept {
        Fence::publish(cells_[self].word, thread_state{thread_status::exiting, false, 0}.pack());
    }
    void returned(std::size_t self) noexcept {
        publish_exiting(self);
        if (order().phase == freeze_phase::quiesce) [[unlikely]]
            hold(self);
    }
    /// Waits, with an exit in hand, while completing it would disturb somebody who reads guest memory.
    void hold(std::size_t self) noexcept {
        std::uint32_t stood = 0;
        for (;;) {
            auto const word = order_.load(std::memory_order_seq_cst);
            auto const o = freeze_order::unpack(word);
            if (o.phase != freeze_phase::quiesce || control_.stopping()) {
                if (stood != 0)
                    hear_.arrived(stood | departure);
                return;
            }
            stood = o.generation;
            store(self, {thread_status::parked, true, o.generation});
            futex_wait(order_, word, nap);
            store_at_once(self, {thread_status::exiting, false, 0});
        }
    }
    void park_thread(std::size_t self) noexcept {
        auto const o = order();
        if (o.phase == freeze_phase::none)
            return;
        store(self, {thread_status::parked, false, o.generation});
        hear_.arrived(o.generation);
        for (;;) {
            auto const thawed = thawed_.load(std::memory_order_acquire);
            if (((thawed - o.generation) & generation_mask) < (generation_mask >> 1) || control_.stopping())
                break;
            futex_wait(thawed_, thawed, nap);
        }
        store_at_once(self, {thread_status::running, false, 0});
        hear_.arrived(o.generation | departure);
    }
    /// A thread that saw what somebody waits for sleeps here until the freeze it asked for comes; a second at most.
    void await_order() noexcept {
        for (int naps = 0; naps < 10; ++naps) {
            auto const word = order_.load(std::memory_order_seq_cst);
            if (freeze_order::unpack(word).phase != freeze_phase::none || control_.stopping())
                return;
            futex_wait(order_, word, nap);
        }
    }
    void ended(std::size_t self) noexcept {
        Fence::publish(cells_[self].word, thread_state{thread_status::dead, false, 0}.pack());
        auto const o = order();
        if (o.phase != freeze_phase::none)
            hear_.arrived(o.generation);
    }

    run_control const& control_;
    Hear hear_;
    std::atomic<std::uint32_t> order_{0};
    std::atomic<std::uint32_t> thawed_{0};
    std::atomic<bool> held_{false};
    std::unique_ptr<status_cell[]> cells_;
    std::size_t count_;
    std::atomic<std::uint32_t> generation_{0}; // written by whoever claimed; passes to the next one through `held_`
    bool barrier_ = false;
};

} // namespace ktstr
