// SPDX-License-Identifier: Apache-2.0
/// \file
/// The protocol of freeze/rendezvous.hpp as a transition system, and the enumerator that visits every state of it.
///
/// One step is one access to shared memory, one system call or one look of KVM. Stores that the code makes plainly go
/// through a store buffer (x86-TSO: first in, first out, own loads do not look at other cells); atomic read-modify-writes,
/// sequentially consistent stores and futex calls empty it; the barrier empties everybody's. vCPUs are interchangeable, so
/// states that differ only by their order are one. The holder's loops visit vCPUs in any order: more than the code does.
///
/// Sleeping ends by a wake, by a signal, or spuriously. A state where only spurious wake-ups and time limits would go on
/// is counted as stuck: the naps of the code are not part of the model, so none of them is needed for progress.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace freeze_model {

using u8 = std::uint8_t;

/// What may be left out of the protocol, to see that it is missed.
enum class mutation : u8 {
    none,
    no_barrier,             ///< membarrier is not called.
    barrier_spares_guest,   ///< A compiler's barrier on each CPU, but no exit from the guest.
    no_recheck,             ///< An exit is handled without a look at the order after the status was published.
    hold_goes_on,           ///< Whoever was woken with an exit in hand handles it without a second look.
    bell_wakes_first,       ///< The last arrival wakes the holder and then rings.
    thaw_wakes_first,       ///< The holder wakes everybody and then says that they may go.
    claim_in_two,           ///< Look whether it is held, then take it.
    any_generation,         ///< A thread parked for another freeze counts.
    clear_after_look,       ///< The exit request is cleared after the order was read.
    signal_only,            ///< No exit request with the signal.
    signal_lost,            ///< The exit request is all that arrives.
    dead_say_nothing,       ///< A thread that ends does not arrive.
    dead_not_recounted,     ///< The holder does not look for threads that died before the order.
    uncounted_say_nothing,  ///< An arrival that was not expected does not ring.
    hold_leaves_silently,   ///< A thread that leaves with its exit in hand does not say so.
    leavers_not_recounted,  ///< The holder does not look for threads that left before it said whom it expects.
    leaves_late,            ///< The status after a sleep is stored plainly.
    running_too_early,      ///< An instruction that KVM completes by a store is not counted as our code.
};

struct options {
    unsigned vcpus = 3;
    unsigned requesters = 2;
    unsigned freezes = 1;     ///< Each requester's; more than three in all do not fit.
    unsigned deaths = 0;
    bool timeouts = false;    ///< The holder may lose patience at any wait.
    bool spurious = true;
    bool park = true;         ///< False: the requesters are content with still memory.
    unsigned exits = 7;       ///< Bits: nothing left to do; completed without a store; completed by a store.
    bool coarse = false;      ///< The holder counts everybody, and kicks one thread, in one step; stores wait one at a time.
    mutation broken = mutation::none;
    std::size_t most = 60'000'000;
};

struct outcome {
    std::size_t states = 0;
    std::size_t finals = 0;
    bool complete = false;
    std::string trace;     ///< The states that led to a violation, last first.
    std::string violation; ///< Empty: every property holds in every state.
};

// A vCPU's program counter. Those that may change guest memory: guest, kvm_completes, handling.
enum vpc : u8 {
    v_top, v_enter, v_kvm_completes, v_kvm_flag, v_kvm_signal, v_guest, v_interrupted, v_clear_late,
    v_returned, v_recheck, v_handling,
    v_hold, v_hold_store, v_hold_wait, v_hold_asleep, v_hold_publish, v_hold_left, v_request,
    v_park, v_park_store, v_park_arrive, v_park_look, v_park_wait, v_park_asleep, v_park_leave, v_park_left,
    v_die, v_die_look, v_die_arrive, v_dead,
    v_ring, v_wake, // with `after` to go on at
};
enum status : u8 { running, exiting, parked, dead };

struct word {
    u8 status : 2;
    u8 pending : 1;
    u8 gen : 2;
    friend bool operator==(word, word) = default;
};
struct vcpu {
    u8 pc = v_top;
    u8 after = 0;         // where a ring goes on; whether a hold was a settle
    u8 gen = 0;           // of the order it answers
    u8 kind = 0;          // exit in hand: 0 none, 1 completed by KVM without a store, 2 with one
    word cell{0, 0, 0};
    u8 buffered = 0;
    std::array<word, 2> buffer{};
    u8 exit_request = 0;
    u8 signal = 0;
    u8 seen = 0;          // by the holder's loop in progress; 2: half kicked
    u8 settle = 0;
    friend bool operator==(vcpu const&, vcpu const&) = default;
};

// A requester's program counter.
enum rpc : u8 {
    r_claim, r_claim_store, r_count, r_expect, r_order, r_kick, r_barrier, r_recount, r_scan,
    r_order_park, r_order_park_late, r_wake_order, r_wait_parked, r_bell_parked, r_asleep_parked, r_frozen,
    r_count_parked, r_expect_left, r_recount_parked, r_order_none, r_thaw, r_wake_thawed, r_wake_rest, r_wait_left, r_bell_left,
    r_asleep_left, r_drop, r_done,
};
struct requester {
    u8 pc = r_claim;
    u8 n = 0;
    u8 left = 0; // freezes still to do
    friend bool operator==(requester const&, requester const&) = default;
};
enum phase : u8 { none, quiesce, park };

struct state {
    std::array<vcpu, 3> v{};
    std::array<requester, 2> r{};
    u8 phase = 0, order_gen = 0, thawed = 0, held = 0, gen = 0;
    u8 bell = 0;      // rung since the holder looked at it last
    u8 left_tag = 0, left = 0;
    u8 deaths = 0;
};

/// Twenty-four bytes that tell states apart.
using key = std::array<std::uint64_t, 3>;

class machine {
public:
    explicit machine(options const& how) : how_(how) {}

    [[nodiscard]] outcome run();

private:
    // Taking a state apart and together.
    [[nodiscard]] static std::uint64_t pack(vcpu const& v) {
        std::uint64_t out = 0;
        auto const put = [&out](unsigned bits, unsigned value) { out = (out << bits) | value; };
        put(6, v.pc), put(6, v.after), put(2, v.gen), put(2, v.kind), put(1, v.settle);
        for (auto const& w : {v.cell, v.buffer[0], v.buffer[1]})
            put(2, w.status), put(1, w.pending), put(2, w.gen);
        put(2, v.buffered), put(1, v.exit_request), put(1, v.signal), put(2, v.seen);
        return out; // 38 bits
    }
    [[nodiscard]] key pack(state s) const {
        for (auto& v : s.v)
            for (unsigned i = v.buffered; i < 2; ++i)
                v.buffer[i] = {0, 0, 0};
        std::array<std::uint64_t, 3> v{};
        for (unsigned i = 0; i < how_.vcpus; ++i)
            v[i] = pack(s.v[i]);
        std::sort(v.begin(), v.begin() + how_.vcpus);
        std::array<std::uint64_t, 2> r{};
        for (unsigned i = 0; i < how_.requesters; ++i)
            r[i] = (std::uint64_t{s.r[i].pc} << 7) | (std::uint64_t{s.r[i].n} << 5) | (std::uint64_t{s.r[i].left} << 3);
        std::sort(r.begin(), r.begin() + how_.requesters);
        std::uint64_t const g = (std::uint64_t{s.phase} << 19) | (std::uint64_t{s.order_gen} << 17) | (std::uint64_t{s.thawed} << 15) |
                                (std::uint64_t{s.held} << 14) | (std::uint64_t{s.gen} << 12) | (std::uint64_t{s.bell} << 9) |
                                (std::uint64_t{s.left_tag} << 6) | (std::uint64_t{s.left} << 4) | (std::uint64_t{s.deaths} << 2);
        return {v[0] | (g << 41), v[1] | (r[0] << 41), v[2] | (r[1] << 41)};
    }
    [[nodiscard]] static vcpu unpack(std::uint64_t in) {
        vcpu v;
        auto const take = [&in](unsigned bits) {
            auto const out = static_cast<u8>(in & ((1U << bits) - 1));
            in >>= bits;
            return out;
        };
        v.seen = take(2), v.signal = take(1), v.exit_request = take(1), v.buffered = take(2);
        for (auto* w : {&v.buffer[1], &v.buffer[0], &v.cell})
            w->gen = take(2) & 3, w->pending = take(1) & 1, w->status = take(2) & 3;
        v.settle = take(1), v.kind = take(2), v.gen = take(2), v.after = take(6), v.pc = take(6);
        return v;
    }
    [[nodiscard]] state unpack(key const& k) const {
        state s;
        auto const low = (std::uint64_t{1} << 41) - 1;
        for (unsigned i = 0; i < how_.vcpus; ++i)
            s.v[i] = unpack(k[i] & low);
        for (unsigned i = 0; i < how_.requesters; ++i) {
            auto const r = k[1 + i] >> 41;
            s.r[i] = {static_cast<u8>(r >> 7), static_cast<u8>((r >> 5) & 3), static_cast<u8>((r >> 3) & 3)};
        }
        auto const g = k[0] >> 41;
        s.phase = (g >> 19) & 3, s.order_gen = (g >> 17) & 3, s.thawed = (g >> 15) & 3, s.held = (g >> 14) & 1;
        s.gen = (g >> 12) & 3, s.bell = (g >> 9) & 7, s.left_tag = (g >> 6) & 7, s.left = (g >> 4) & 3, s.deaths = (g >> 2) & 3;
        return s;
    }

    // Memory.
    static void drain(vcpu& v) {
        if (v.buffered > 0)
            v.cell = v.buffer[v.buffered - 1U];
        v.buffered = 0;
    }
    void store(vcpu& v, word w) const {
        if ((v.buffered > 0 ? v.buffer[v.buffered - 1U] : v.cell) == w)
            return; // nobody can tell
        if (how_.coarse && v.buffered == 1)
            drain(v);
        if (v.buffered == 2) { // full: the oldest goes out first
            v.cell = v.buffer[0];
            v.buffer[0] = v.buffer[1];
            v.buffered = 1;
        }
        v.buffer[v.buffered++] = w;
    }
    void store_at_once(vcpu& v, word w) const {
        store(v, w);
        if (how_.broken != mutation::leaves_late)
            drain(v);
    }
    static void wake_holders(state& s) {
        for (auto& r : s.r) {
            if (r.pc != r_asleep_parked && r.pc != r_asleep_left)
                continue;
            r.pc = r.pc == r_asleep_parked ? r_wait_parked : r_wait_left;
            s.bell = 0; // it looks at the bell, and then at the words
        }
    }
    /// `arrived(tag)`, going on at `after`.
    void arrive(state& s, vcpu& v, u8 tag, u8 after) const {
        v.pc = after;
        if (s.left_tag != tag)
            return;
        if (s.left == 0 && how_.broken == mutation::uncounted_say_nothing)
            return;
        if (s.left > 0) {
            drain(v);
            --s.left;
        }
        if (s.left == 0) { // the last one, or one that nobody counted
            v.pc = how_.broken == mutation::bell_wakes_first ? v_wake : v_ring;
            v.after = after;
        }
    }
    [[nodiscard]] bool settled(state const& s, word w) const {
        return w.status == dead ||
               (w.status == parked && w.pending == 0 && (w.gen == s.gen || how_.broken == mutation::any_generation));
    }

    // Steps. Each returns false when the thread cannot move by itself.
    template <class Emit>
    bool step_vcpu(state const& from, unsigned i, Emit const& emit) const;
    template <class Emit>
    bool step_requester(state const& from, unsigned i, Emit const& emit) const;
    /// Runs `visit(vcpu&)` for each vCPU that the loop in progress has not seen; `end` when it has seen all.
    template <class Emit, class Visit, class End>
    bool each(state const& from, unsigned i, Emit const& emit, Visit const& visit, End const& end) const {
        bool any = false;
        if (how_.coarse) {
            auto s = from;
            for (unsigned k = 0; k < how_.vcpus; ++k)
                visit(s, s.r[i], s.v[k]);
            for (auto& v : s.v)
                v.seen = 0;
            end(s, s.r[i]);
            emit(s);
            return true;
        }
        for (unsigned k = 0; k < how_.vcpus; ++k) {
            if (from.v[k].seen == 1)
                continue;
            any = true;
            auto s = from;
            visit(s, s.r[i], s.v[k]);
            emit(s);
        }
        if (!any) {
            auto s = from;
            for (auto& v : s.v)
                v.seen = 0;
            end(s, s.r[i]);
            emit(s);
        }
        return true;
    }
    [[nodiscard]] char const* broken_property(state const& s) const;

    options how_;
};

} // namespace freeze_model
