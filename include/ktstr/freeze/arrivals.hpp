// SPDX-License-Identifier: Apache-2.0
/// \file
/// The `Arrivals` policy: how whoever freezes learns that threads have stopped. Only a hint: the status words are the truth.
///
/// Contract: `expect(generation, n)` by the holder before the order goes out; `arrived(generation)` by each thread after
/// it wrote its status; `wait(most)` by the holder: sleeps until all `n` have arrived or `most` passed, possibly less; the
/// holder then looks at the status words. An arrival for another generation changes nothing that matters; one more arrival
/// than expected ends a wait, too.
/// Models: `futex_arrivals` (the last one rings), `eventfd_arrivals` (everyone rings, the holder counts), `polled_arrivals`
/// (the holder looks every millisecond): the last two are how other machine monitors do it, for honest comparison.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/sys/fd.hpp"
#include "ktstr/sys/futex.hpp"

#include <atomic>
#include <concepts>
#include <cstdint>
#include <ctime>
#include <poll.h>
#include <unistd.h>

namespace ktstr {

/// A way to hear of arrivals; see the contract at the top of this file.
template <class A>
concept Arrivals = requires(A& a, std::uint32_t n, nanos t) {
    { a.prepare() } -> std::same_as<result<>>;
    { a.expect(n, n) } noexcept -> std::same_as<void>;
    { a.arrived(n) } noexcept -> std::same_as<void>;
    { a.wait(t) } noexcept -> std::same_as<void>;
};

/// The last arrival of the generation wakes the holder. So does each that was not expected: who counts threads while they
/// move may miscount, and must look again then. The bell only ever counts up, and the holder remembers what it read before
/// it looked at the status words: a ring in between is seen, so no wake-up is lost and nobody has to poll.
class futex_arrivals {
public:
    [[nodiscard]] result<> prepare() noexcept { return {}; }
    void expect(std::uint32_t generation, std::uint32_t n) noexcept {
        seen_ = bell_.load(std::memory_order_acquire);
        left_.store((std::uint64_t{generation} << 32) | n, std::memory_order_release);
    }
    void arrived(std::uint32_t generation) noexcept {
        auto now = left_.load(std::memory_order_acquire);
        do {
            if ((now >> 32) != generation)
                return;
            if ((now & 0xffffffff) == 0)
                return ring();
        } while (!left_.compare_exchange_weak(now, now - 1, std::memory_order_acq_rel, std::memory_order_acquire));
        if ((now & 0xffffffff) == 1)
            ring();
    }
    void wait(nanos most) noexcept {
        auto now = bell_.load(std::memory_order_acquire);
        if (now == seen_) {
            futex_wait(bell_, now, most);
            now = bell_.load(std::memory_order_acquire);
        }
        seen_ = now;
    }

private:
    void ring() noexcept {
        bell_.fetch_add(1, std::memory_order_release);
        futex_wake_all(bell_);
    }

    std::atomic<std::uint64_t> left_{0};
    std::atomic<std::uint32_t> bell_{0};
    std::uint32_t seen_ = 0; // the holder's
};
static_assert(Arrivals<futex_arrivals>);

/// Every arrival adds one to an eventfd; the holder wakes for each.
class eventfd_arrivals {
public:
    [[nodiscard]] result<> prepare() {
        KTSTR_TRY(event_, unique_fd::eventfd());
        return {};
    }
    void expect(std::uint32_t, std::uint32_t) noexcept { take(); }
    void arrived(std::uint32_t) noexcept {
        std::uint64_t const one = 1;
        [[maybe_unused]] auto const ignored = ::write(event_.get(), &one, sizeof one);
    }
    void wait(nanos most) noexcept {
        pollfd p{event_.get(), POLLIN, 0};
        timespec const limit{static_cast<std::time_t>(most.raw / 1'000'000'000), static_cast<long>(most.raw % 1'000'000'000)};
        ::ppoll(&p, 1, &limit, nullptr);
        take();
    }

private:
    void take() noexcept {
        std::uint64_t count = 0;
        [[maybe_unused]] auto const ignored = ::read(event_.get(), &count, sizeof count);
    }
    unique_fd event_;
};
static_assert(Arrivals<eventfd_arrivals>);

/// Nobody tells; the holder looks once a millisecond.
class polled_arrivals {
public:
    [[nodiscard]] result<> prepare() noexcept { return {}; }
    void expect(std::uint32_t, std::uint32_t) noexcept {}
    void arrived(std::uint32_t) noexcept {}
    void wait(nanos most) noexcept {
        auto const step = most.raw < 1'000'000 ? most.raw : 1'000'000;
        timespec const pause{0, static_cast<long>(step)};
        ::nanosleep(&pause, nullptr);
    }
};
static_assert(Arrivals<polled_arrivals>);

} // namespace ktstr
