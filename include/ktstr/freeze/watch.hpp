// SPDX-License-Identifier: Apache-2.0
/// \file
/// The watchpoints of a machine: who has which of the four slots, and what a debug exit means.
///
/// Slot 0 is kept for the scheduler's death, the other three are the users'. Slots change by the supervisor alone, while it
/// holds a freeze; it then sets the registers of every vCPU (`places`, kvm::set_watchpoints). `on_debug` runs on the vCPU
/// that hit and stops nobody else: it reads the new value, asks the predicate, and says whether a freeze is wanted. It
/// neither locks nor allocates. The value is read after the store: another vCPU may have stored again by then.
///
/// A watchpoint that fires too often is switched off: its slot is marked, `places` leaves it out, and `on_debug` tells
/// each vCPU that still runs into it to set its own registers anew, so that no guest is slowed down for long.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/freeze/watch_text.hpp"
#include "ktstr/hv/watch_place.hpp"
#include "ktstr/mem/guest_memory.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace ktstr {

/// The slot of the scheduler's death.
inline constexpr std::uint32_t death_slot = 0;
/// Watchpoints that users can have at once.
inline constexpr std::uint32_t user_watches = watch_slots - 1;

/// What somebody wants to be watched.
struct watch_request {
    gva address{};               ///< Of the kernel, a multiple of `size`.
    std::uint8_t size = 4;       ///< 1, 2, 4 or 8 bytes.
    std::optional<gpa> place{};  ///< Where the value lies; without it there is no predicate and no value in reports.
    watch_predicate when{};
    std::string tag{};           ///< The name of the snapshots that it gives.
    std::uint32_t captures = 1;  ///< After so many the slot is free again.
};

/// Bounds of all watchpoints.
struct watch_limits {
    std::uint32_t exits_per_second = 1000; ///< Of one slot, true or not: more switch it off.
};

/// What the vCPU does after a debug exit.
enum class watch_action : std::uint8_t {
    resume, ///< Nothing to do: no watchpoint of ours, or the predicate is false, or its freeze is coming already.
    hit,    ///< Ask for a freeze and stay here until it comes.
};

/// What a debug exit means.
struct watch_decision {
    watch_action action = watch_action::resume;
    std::uint32_t hits = 0;       ///< Bit i: slot i asks for a freeze now.
    std::uint32_t suppressed = 0; ///< Bit i: the predicate of slot i was false.
    std::uint32_t flooded = 0;    ///< Bit i: slot i is switched off, now or before: set this vCPU's registers to `places`.
    bool foreign = false;         ///< Something of the guest's own: give it back (kvm::pass_debug_to_guest).
    std::array<std::uint64_t, watch_slots> values{}; ///< Of the slots in `hits`.
    std::uint32_t known = 0;      ///< Bit i: `values[i]` was read.
};

/// What happened at one slot.
struct watch_report {
    bool armed = false;
    bool flooded = false;         ///< Switched off because it fired too often.
    watch_place place{};
    std::string tag{};
    std::uint64_t exits = 0;      ///< Stores that stopped a vCPU.
    std::uint64_t suppressed = 0; ///< Of these: predicate false.
    std::uint64_t hits = 0;       ///< Of these: predicate true, or none.
    std::uint64_t merged = 0;     ///< Of the hits: while a freeze for this slot was on its way.
    std::uint32_t captures = 0;   ///< Freezes that were served.
};

/// The value of `size` bytes at `at`, read in one access; nothing when that is not RAM or not aligned.
template <GuestMemory M>
[[nodiscard]] std::optional<std::uint64_t> read_watched(M const& memory, gpa at, std::uint8_t size) noexcept {
    auto const view = memory.slice(at, size);
    if (!view || size == 0)
        return std::nullopt;
    auto const* const p = view->data();
    if (reinterpret_cast<std::uintptr_t>(p) % size != 0)
        return std::nullopt;
    switch (size) {
    case 1: return __atomic_load_n(reinterpret_cast<std::uint8_t const*>(p), __ATOMIC_ACQUIRE);
    case 2: return __atomic_load_n(reinterpret_cast<std::uint16_t const*>(p), __ATOMIC_ACQUIRE);
    case 4: return __atomic_load_n(reinterpret_cast<std::uint32_t const*>(p), __ATOMIC_ACQUIRE);
    case 8: return __atomic_load_n(reinterpret_cast<std::uint64_t const*>(p), __ATOMIC_ACQUIRE);
    default: return std::nullopt;
    }
}

/// Checks a request by itself. `errc::invalid_argument` for a size, an address or a place that is not aligned,
/// `errc::out_of_range` for an address outside the kernel, `errc::unsupported` for a predicate without a place.
[[nodiscard]] inline result<> check_watch(watch_request const& r) noexcept {
    if (r.size != 1 && r.size != 2 && r.size != 4 && r.size != 8)
        return fail(errc::invalid_argument, "watch.size", r.size);
    if (r.address.raw >> 63 == 0) // the upper half belongs to the kernel, on x86_64 and on aarch64
        return fail(errc::out_of_range, "watch.address", r.address.raw);
    if (r.address.raw % r.size != 0)
        return fail(errc::invalid_argument, "watch.align", r.address.raw);
    if (r.place && r.place->raw % r.size != 0)
        return fail(errc::invalid_argument, "watch.place", r.place->raw);
    if (!r.place && r.when.op != watch_op::any)
        return fail(errc::unsupported, "watch.value", r.address.raw);
    return {};
}

/// See the top of this file. Neither movable nor copyable: vCPU threads look at it.
class watch_set {
public:
    explicit watch_set(watch_limits const& limits = {}) noexcept : limits_(limits) {}
    watch_set(watch_set const&) = delete;
    watch_set& operator=(watch_set const&) = delete;

    // The supervisor, while it holds a freeze (or before the machine runs).

    /// Gives a user's request a slot. `errc::no_space` when all three are taken; otherwise as `check_watch`.
    [[nodiscard]] result<std::uint32_t> arm(watch_request request) {
        KTSTR_CHECK(check_watch(request));
        for (std::uint32_t i = 1; i < watch_slots; ++i)
            if (!armed(i)) {
                occupy(i, std::move(request));
                return i;
            }
        return fail(errc::no_space, "watch.slots", user_watches);
    }
    /// Watches for the scheduler's death. `errc::busy` while that slot is taken.
    [[nodiscard]] result<> arm_death(watch_request request) {
        KTSTR_CHECK(check_watch(request));
        if (armed(death_slot))
            return fail(errc::busy, "watch.death_slot");
        occupy(death_slot, std::move(request));
        return {};
    }
    /// Frees a slot; its counts stay until somebody takes it.
    void disarm(std::uint32_t slot) noexcept {
        if (slot < watch_slots && armed(slot)) {
            slots_[slot].version.fetch_add(1);
            slots_[slot].pending.store(false);
            ++changes_;
        }
    }
    /// The freeze that `slot` asked for was served. True when that was its last and the slot is free now.
    bool served(std::uint32_t slot) noexcept {
        if (slot >= watch_slots || !armed(slot))
            return false;
        auto& s = slots_[slot];
        ++s.captures;
        bool const last = s.captures >= s.request.captures && !s.keep;
        if (last)
            disarm(slot);
        s.pending.store(false);
        return last;
    }
    /// The freeze that `slot` asked for could not be had; it may ask again.
    void not_served(std::uint32_t slot) noexcept {
        if (slot < watch_slots)
            slots_[slot].pending.store(false);
    }

    // Anybody.

    /// What the registers of every vCPU should be.
    [[nodiscard]] watch_places places() const noexcept {
        watch_places out{};
        for (std::uint32_t i = 0; i < watch_slots; ++i)
            if (armed(i) && !slots_[i].flooded.load())
                out[i] = {gva{slots_[i].address.load()}, slots_[i].size.load()};
        return out;
    }
    [[nodiscard]] bool armed(std::uint32_t slot) const noexcept {
        return slot < watch_slots && (slots_[slot].version.load() & 1) != 0;
    }
    [[nodiscard]] bool any_armed() const noexcept {
        for (std::uint32_t i = 0; i < watch_slots; ++i)
            if (armed(i))
                return true;
        return false;
    }
    /// Slots that wait for their freeze.
    [[nodiscard]] std::uint32_t pending() const noexcept {
        std::uint32_t out = 0;
        for (std::uint32_t i = 0; i < watch_slots; ++i)
            out |= slots_[i].pending.load() ? 1U << i : 0U;
        return out;
    }
    /// Counts up whenever `places` gives something else: whoever set registers for an older count sets them anew.
    [[nodiscard]] std::uint64_t changes() const noexcept { return changes_.load(); }
    /// Debug exits that were the guest's own, and those of watchpoints that were no longer ours.
    [[nodiscard]] std::uint64_t foreign() const noexcept { return foreign_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t stale() const noexcept { return stale_.load(std::memory_order_relaxed); }

    /// What happened at `slot`. The supervisor.
    [[nodiscard]] watch_report report(std::uint32_t slot) const {
        auto const& s = slots_[slot];
        watch_report out;
        out.armed = armed(slot);
        out.flooded = s.flooded.load();
        out.place = {gva{s.address.load()}, s.size.load()};
        out.tag = s.request.tag;
        out.exits = s.exits.load(std::memory_order_relaxed);
        out.suppressed = s.suppressed.load(std::memory_order_relaxed);
        out.hits = s.hits.load(std::memory_order_relaxed);
        out.merged = s.merged.load(std::memory_order_relaxed);
        out.captures = s.captures;
        return out;
    }
    /// What was asked for at `slot`. The supervisor.
    [[nodiscard]] watch_request const& request(std::uint32_t slot) const noexcept { return slots_[slot].request; }

    // vCPU threads.

    /// What a debug exit means, on the vCPU that saw it. `now` is any clock that does not go back.
    template <GuestMemory M>
    [[nodiscard]] watch_decision on_debug(debug_cause cause, M const& memory, nanos now) noexcept {
        watch_decision out;
        out.foreign = cause.foreign;
        if (cause.foreign)
            foreign_.fetch_add(1, std::memory_order_relaxed);
        for (std::uint32_t i = 0; i < watch_slots; ++i)
            if ((cause.slots >> i & 1) != 0)
                judge(i, memory, now, out);
        if (out.hits != 0)
            out.action = watch_action::hit;
        return out;
    }

    /// The supervisor saw, looking at the memory, that the value at `slot` became `value`. True when that asks for a freeze.
    [[nodiscard]] bool polled(std::uint32_t slot, std::uint64_t value) noexcept {
        auto& s = slots_[slot];
        s.exits.fetch_add(1, std::memory_order_relaxed);
        return ask(s, watch_predicate{s.op.load(), s.operand.load()}.holds(value));
    }

private:
    struct slot_state {
        std::atomic<std::uint32_t> version{0}; ///< Odd: armed. The fields below change only while it is even.
        std::atomic<std::uint64_t> address{0};
        std::atomic<std::uint64_t> place{0};
        std::atomic<std::uint64_t> operand{0};
        std::atomic<watch_op> op{watch_op::any};
        std::atomic<std::uint8_t> size{0};
        std::atomic<bool> has_place{false};
        std::atomic<bool> flooded{false};
        std::atomic<bool> pending{false};
        std::atomic<std::int64_t> window{0}; ///< When the current second began.
        std::atomic<std::uint32_t> in_window{0};
        std::atomic<std::uint64_t> exits{0};
        std::atomic<std::uint64_t> suppressed{0};
        std::atomic<std::uint64_t> hits{0};
        std::atomic<std::uint64_t> merged{0};
        // The supervisor's.
        watch_request request;
        std::uint32_t captures = 0;
        bool keep = false; ///< The slot of the scheduler's death is not freed by being served.
    };

    void occupy(std::uint32_t slot, watch_request request) {
        auto& s = slots_[slot];
        s.address.store(request.address.raw);
        s.size.store(request.size);
        s.has_place.store(request.place.has_value());
        s.place.store(request.place ? request.place->raw : 0);
        s.op.store(request.when.op);
        s.operand.store(request.when.operand);
        s.flooded.store(false);
        s.pending.store(false);
        s.in_window.store(0);
        for (auto* count : {&s.exits, &s.suppressed, &s.hits, &s.merged})
            count->store(0);
        s.captures = 0;
        s.keep = slot == death_slot;
        s.request = std::move(request);
        s.version.fetch_add(1);
        ++changes_;
    }

    /// Whether this exit is one too many in its second.
    [[nodiscard]] bool too_many(slot_state& s, nanos now) noexcept {
        auto start = s.window.load();
        if (now.raw - start >= seconds(1).raw && s.window.compare_exchange_strong(start, now.raw))
            s.in_window.store(0);
        return s.in_window.fetch_add(1) >= limits_.exits_per_second;
    }

    /// Counts one answer of the predicate; true when it asks for a freeze that nobody asked for yet.
    static bool ask(slot_state& s, bool holds) noexcept {
        if (!holds) {
            s.suppressed.fetch_add(1, std::memory_order_relaxed);
            return false;
        }
        s.hits.fetch_add(1, std::memory_order_relaxed);
        if (!s.pending.exchange(true))
            return true;
        s.merged.fetch_add(1, std::memory_order_relaxed);
        return false;
    }

    template <GuestMemory M>
    void judge(std::uint32_t i, M const& memory, nanos now, watch_decision& out) noexcept {
        auto& s = slots_[i];
        auto const version = s.version.load();
        if ((version & 1) == 0) {
            stale_.fetch_add(1, std::memory_order_relaxed);
            out.flooded |= 1U << i; // its registers are older than the set
            return;
        }
        s.exits.fetch_add(1, std::memory_order_relaxed);
        std::optional<std::uint64_t> value;
        if (s.has_place.load())
            value = read_watched(memory, gpa{s.place.load()}, s.size.load());
        watch_predicate const when{s.op.load(), s.operand.load()};
        // A value that cannot be read is worth a look rather than a miss.
        bool const holds = !value || when.holds(*value);
        if (s.version.load() != version) { // somebody took the slot meanwhile: only beside a freeze that was not whole
            stale_.fetch_add(1, std::memory_order_relaxed);
            out.flooded |= 1U << i;
            return;
        }
        if (s.flooded.load() || too_many(s, now)) {
            if (!s.flooded.exchange(true))
                ++changes_;
            out.flooded |= 1U << i;
        }
        if (ask(s, holds)) {
            out.hits |= 1U << i;
            out.known |= value ? 1U << i : 0U;
            out.values[i] = value.value_or(0);
        } else if (!holds) {
            out.suppressed |= 1U << i;
        }
    }

    watch_limits limits_;
    std::array<slot_state, watch_slots> slots_{};
    std::atomic<std::uint64_t> changes_{0};
    std::atomic<std::uint64_t> foreign_{0};
    std::atomic<std::uint64_t> stale_{0};
};

} // namespace ktstr
