// SPDX-License-Identifier: Apache-2.0
#include "freeze/rendezvous_model.hpp"

namespace freeze_model {

template <class Emit>
bool machine::step_vcpu(state const& from, unsigned i, Emit const& emit) const {
    bool moved = false;
    if (from.v[i].buffered > 0) { // the oldest store becomes visible
        auto s = from;
        auto& v = s.v[i];
        v.cell = v.buffer[0];
        v.buffer[0] = v.buffer[1];
        --v.buffered;
        emit(s);
        moved = true;
    }
    auto s = from;
    auto& v = s.v[i];
    auto const to = [&](u8 pc) {
        v.pc = pc;
        emit(s);
        return true;
    };
    auto const after_hold = [&] { return v.settle != 0 ? v_request : v_handling; };
    switch (v.pc) {
    case v_top:
        if (s.phase == none)
            return to(v_enter);
        if (v.kind == 0)
            return to(v_park);
        v.settle = 1;
        return to(v_hold);
    case v_enter:
        if (v.kind != 2 || how_.broken == mutation::running_too_early)
            store(v, {running, 0, 0});
        return to(std::exchange(v.kind, u8{0}) == 2 ? v_kvm_completes : v_kvm_flag);
    case v_kvm_completes: return to(v_kvm_flag);
    case v_kvm_flag: return to(v.exit_request != 0 ? v_interrupted : v_kvm_signal);
    case v_kvm_signal:
        if (v.signal == 0)
            return to(v_guest);
        v.signal = 0;
        return to(v_interrupted);
    case v_guest:
        for (u8 kind = 0; kind < 3; ++kind) { // the guest leaves if it likes; nobody may count on it
            if ((how_.exits & (1U << kind)) == 0)
                continue;
            auto t = s;
            t.v[i].kind = kind;
            t.v[i].pc = v_returned;
            emit(t);
        }
        if (v.signal == 0)
            return moved;
        v.signal = 0;
        return to(v_interrupted);
    case v_interrupted:
        if (how_.broken == mutation::clear_after_look)
            return to(s.phase == none ? v_clear_late : v_park);
        drain(v);
        v.exit_request = 0;
        return to(v_top);
    case v_clear_late:
        drain(v);
        v.exit_request = 0;
        return to(v_enter);
    case v_returned:
        store(v, {exiting, 0, 0});
        return to(how_.broken == mutation::no_recheck ? v_handling : v_recheck);
    case v_recheck: return to(s.phase == quiesce ? v_hold : v_handling);
    case v_handling:
        if (s.deaths < how_.deaths) {
            auto t = s;
            ++t.deaths;
            t.v[i].kind = 0;
            t.v[i].pc = v_die;
            emit(t);
        }
        return to(v_top);

    case v_hold:
        if (s.phase != quiesce) {
            if (v.gen != 0)
                return to(v_hold_left);
            auto const next = after_hold();
            v.settle = 0;
            return to(next);
        }
        v.gen = s.order_gen;
        return to(v_hold_store);
    case v_hold_store:
        store(v, {parked, 1, static_cast<u8>(v.gen & 3)});
        return to(v_hold_wait);
    case v_hold_wait:
        drain(v);
        if (v.signal == 0 && s.phase == quiesce && s.order_gen == v.gen)
            return to(v_hold_asleep);
        v.signal = 0;
        return to(v_hold_publish);
    case v_hold_asleep:
        if (how_.spurious)
            to(v_hold_publish);
        return moved;
    case v_hold_publish: {
        store_at_once(v, {exiting, 0, 0});
        if (how_.broken != mutation::hold_goes_on)
            return to(v_hold);
        auto const next = after_hold();
        v.gen = v.settle = 0;
        return to(next);
    }
    case v_hold_left: {
        auto const tag = static_cast<u8>(v.gen | 4);
        auto const next = after_hold();
        v.gen = v.settle = 0;
        if (how_.broken == mutation::hold_leaves_silently)
            return to(next);
        arrive(s, v, tag, next);
        emit(s);
        return true;
    }
    case v_request:
        drain(v);
        v.exit_request = 1;
        return to(v_enter);

    case v_park:
        if (s.phase == none)
            return to(v_top);
        v.gen = s.order_gen;
        return to(v_park_store);
    case v_park_store:
        store(v, {parked, 0, static_cast<u8>(v.gen & 3)});
        return to(v_park_arrive);
    case v_park_arrive:
        arrive(s, v, v.gen, v_park_look);
        emit(s);
        return true;
    case v_park_look: return to(s.thawed >= v.gen ? v_park_leave : v_park_wait);
    case v_park_wait:
        drain(v);
        if (v.signal == 0 && s.thawed < v.gen)
            return to(v_park_asleep);
        v.signal = 0;
        return to(v_park_look);
    case v_park_asleep:
        if (how_.spurious)
            to(v_park_look);
        return moved;
    case v_park_leave:
        store_at_once(v, {running, 0, 0});
        return to(v_park_left);
    case v_park_left: {
        auto const tag = static_cast<u8>(v.gen | 4);
        v.gen = 0;
        arrive(s, v, tag, v_top);
        emit(s);
        return true;
    }

    case v_die:
        store(v, {dead, 0, 0});
        return to(v_die_look);
    case v_die_look:
        if (s.phase == none || how_.broken == mutation::dead_say_nothing)
            return to(v_dead);
        v.gen = s.order_gen;
        return to(v_die_arrive);
    case v_die_arrive: {
        auto const tag = v.gen;
        v.gen = 0;
        arrive(s, v, tag, v_dead);
        emit(s);
        return true;
    }
    case v_dead: return moved;

    case v_ring:
        drain(v);
        s.bell = 1;
        if (how_.broken != mutation::bell_wakes_first)
            return to(v_wake);
        return to(std::exchange(v.after, u8{0}));
    case v_wake:
        drain(v);
        wake_holders(s);
        if (how_.broken == mutation::bell_wakes_first)
            return to(v_ring);
        return to(std::exchange(v.after, u8{0}));
    default: return moved;
    }
}

template <class Emit>
bool machine::step_requester(state const& from, unsigned i, Emit const& emit) const {
    auto s = from;
    auto& r = s.r[i];
    auto const to = [&](u8 pc) {
        r.pc = pc;
        emit(s);
        return true;
    };
    auto const give_up = [&](u8 pc) {
        if (!how_.timeouts)
            return;
        auto t = from;
        for (auto& v : t.v)
            v.seen = 0;
        t.r[i].n = 0;
        t.r[i].pc = pc;
        emit(t);
    };
    /// One pass of wait_for: those who are done are seen, those who are not make the holder listen.
    auto const look = [&](auto const& done, u8 listen, u8 end) {
        bool left = false;
        for (unsigned k = 0; k < how_.vcpus; ++k) {
            if (from.v[k].seen == 1)
                continue;
            left = true;
            auto t = from;
            if (done(t.v[k].cell))
                t.v[k].seen = 1;
            else
                t.r[i].pc = listen;
            emit(t);
        }
        if (left)
            return true;
        for (auto& v : s.v)
            v.seen = 0;
        return to(end);
    };
    /// Sleeping, unless the bell was rung since the last look.
    auto const listen = [&](u8 asleep, u8 again) { return to(std::exchange(s.bell, u8{0}) != 0 ? again : asleep); };
    auto const is_settled = [&](word w) { return settled(from, w); };
    auto const has_left = [&](word w) { return w.status != parked || w.gen != from.gen; };
    switch (r.pc) {
    case r_claim:
        if (r.left == 0)
            return to(r_done);
        if (s.held != 0)
            return false; // told "in flight"; tries again
        if (how_.broken == mutation::claim_in_two)
            return to(r_claim_store);
        [[fallthrough]];
    case r_claim_store:
        s.held = 1;
        s.gen = static_cast<u8>(s.gen + 1) & 3;
        r.n = 0;
        return to(r_count);
    case r_count:
        return each(from, i, emit, [](state&, requester& me, vcpu& v) { v.seen = 1, me.n = static_cast<u8>(me.n + (v.cell.status != dead)); },
                    [](state&, requester& me) { me.pc = r_expect; });
    case r_expect:
        s.bell = 0;
        s.left_tag = s.gen;
        s.left = r.n;
        return to(r_order);
    case r_order:
        s.phase = quiesce;
        s.order_gen = s.gen;
        return to(r_kick);
    case r_kick: {
        auto const signal = [&](state t, unsigned k) {
            auto& v = t.v[k];
            v.seen = 1;
            if (v.pc == v_dead || how_.broken == mutation::signal_lost) {
                emit(t);
            } else if (v.pc == v_hold_asleep || v.pc == v_park_asleep) {
                v.pc = v.pc == v_hold_asleep ? v_hold_publish : v_park_look;
                emit(t);
            } else {
                if (v.pc < v_kvm_completes || v.pc > v_guest)
                    emit(t); // in user mode: the handler ran, and that is all
                v.signal = 1; // or it is on its way into the kernel
                emit(t);
            }
        };
        for (unsigned k = 0; k < how_.vcpus; ++k) {
            if (from.v[k].seen == 2) {
                signal(from, k);
                return true;
            }
        }
        bool any = false;
        for (unsigned k = 0; k < how_.vcpus; ++k) {
            if (from.v[k].seen != 0)
                continue;
            any = true;
            auto t = from;
            t.v[k].seen = 2;
            if (how_.broken != mutation::signal_only)
                t.v[k].exit_request = 1;
            if (how_.coarse)
                signal(t, k);
            else
                emit(t);
        }
        if (any)
            return true;
        for (auto& v : s.v)
            v.seen = 0;
        return to(r_barrier);
    }
    case r_barrier:
        for (auto& v : s.v) {
            if (how_.broken == mutation::no_barrier)
                break;
            drain(v);
            if (v.pc == v_guest && how_.broken != mutation::barrier_spares_guest)
                v.pc = v_kvm_signal; // a forced exit, and KVM's look before the next entry
        }
        if (how_.broken != mutation::dead_not_recounted)
            return to(r_recount);
        r.n = 0;
        return to(r_scan);
    case r_recount:
        return each(from, i, emit, [](state&, requester& me, vcpu& v) { v.seen = 1, me.n = static_cast<u8>(me.n - (v.cell.status != dead)); },
                    [](state& t, requester& me) {
                        // Who died before the order came did not hear of it: the holder arrives in its place.
                        for (; me.n > 0; --me.n)
                            if (t.left == 0 || --t.left == 0)
                                t.bell = 1;
                        me.pc = r_scan;
                    });
    case r_scan: {
        give_up(r_order_park_late);
        bool left = false, moved = false;
        for (unsigned k = 0; k < how_.vcpus; ++k) {
            if (from.v[k].seen == 1)
                continue;
            left = true;
            if (from.v[k].cell.status == exiting)
                continue;
            auto t = from;
            t.v[k].seen = 1;
            emit(t);
            moved = true;
        }
        if (left)
            return moved;
        for (auto& v : s.v)
            v.seen = 0;
        return to(how_.park ? r_order_park : r_frozen);
    }
    case r_order_park:
    case r_order_park_late:
        s.phase = park;
        return to(r_wake_order);
    case r_wake_order:
        for (auto& v : s.v)
            if (v.pc == v_hold_asleep)
                v.pc = v_hold_publish;
        return to(r_wait_parked);
    case r_wait_parked:
        give_up(r_count_parked);
        return look(is_settled, r_bell_parked, r_frozen);
    case r_bell_parked: return listen(r_asleep_parked, r_wait_parked);
    case r_asleep_parked:
        give_up(r_count_parked);
        if (how_.spurious)
            to(r_wait_parked);
        return false;
    case r_frozen:
        r.n = 0;
        return to(r_count_parked);
    case r_count_parked:
        return each(from, i, emit,
                    [&](state& t, requester& me, vcpu& v) {
                        v.seen = 1;
                        bool const counts = v.cell.status == parked && v.cell.gen == t.gen &&
                                            (v.cell.pending == 0 || how_.broken != mutation::hold_leaves_silently);
                        me.n = static_cast<u8>(me.n + counts);
                    },
                    [](state&, requester& me) { me.pc = r_expect_left; });
    case r_expect_left:
        s.bell = 0;
        s.left_tag = static_cast<u8>(s.gen | 4);
        s.left = r.n;
        if (how_.broken != mutation::leavers_not_recounted)
            return to(r_recount_parked);
        r.n = 0;
        return to(r_order_none);
    case r_recount_parked:
        return each(from, i, emit,
                    [](state& t, requester& me, vcpu& v) {
                        v.seen = 1;
                        if (me.n > 0 && v.cell.status == parked && v.cell.gen == t.gen)
                            --me.n;
                    },
                    [](state& t, requester& me) {
                        for (; me.n > 0; --me.n)
                            if (t.left == 0 || --t.left == 0)
                                t.bell = 1;
                        me.pc = r_order_none;
                    });
    case r_order_none:
        s.phase = none;
        return to(how_.broken == mutation::thaw_wakes_first ? r_wake_thawed : r_thaw);
    case r_thaw:
        s.thawed = s.gen;
        return to(how_.broken == mutation::thaw_wakes_first ? r_wait_left : r_wake_thawed);
    case r_wake_thawed:
        for (auto& v : s.v)
            if (v.pc == v_park_asleep)
                v.pc = v_park_look;
        return to(r_wake_rest);
    case r_wake_rest:
        for (auto& v : s.v)
            if (v.pc == v_hold_asleep)
                v.pc = v_hold_publish;
        return to(how_.broken == mutation::thaw_wakes_first ? r_thaw : r_wait_left);
    case r_wait_left:
        give_up(r_drop);
        return look(has_left, r_bell_left, r_drop);
    case r_bell_left: return listen(r_asleep_left, r_wait_left);
    case r_asleep_left:
        give_up(r_drop);
        if (how_.spurious)
            to(r_wait_left);
        return false;
    case r_drop:
        s.held = 0;
        --r.left;
        return to(r.left == 0 ? r_done : r_claim);
    default: return false;
    }
}

char const* machine::broken_property(state const& s) const {
    unsigned holders = 0;
    for (unsigned i = 0; i < how_.requesters; ++i) {
        auto const pc = s.r[i].pc;
        holders += pc != r_claim && pc != r_claim_store && pc != r_done;
        if (pc != r_order_park && pc != r_frozen)
            continue;
        for (unsigned k = 0; k < how_.vcpus; ++k) {
            auto const& v = s.v[k];
            if (v.pc == v_guest || v.pc == v_kvm_completes || v.pc == v_handling)
                return "guest memory is written after quiesce said that it is still";
            if (pc != r_frozen || !how_.park)
                continue;
            auto const at = v.pc == v_ring || v.pc == v_wake ? v.after : v.pc;
            bool const stands = at >= v_park_arrive && at <= v_park_asleep && v.gen == s.gen && v.kind == 0;
            bool const over = at == v_die_look || at == v_die_arrive || at == v_dead;
            if (!stands && !over)
                return "a thread is not settled after park said so";
            if (!(v.cell.status == dead || (v.cell.status == parked && v.cell.pending == 0 && v.cell.gen == s.gen)))
                return "a status word does not say what park promised";
        }
    }
    return holders > 1 ? "two holders at a time" : nullptr;
}

outcome machine::run() {
    // Open addressing over the keys; the queue is the table of keys in order of discovery.
    std::vector<key> found;
    std::vector<std::uint32_t> table(1U << 20, 0xffffffff);
    auto const hash = [](key const& k) {
        std::uint64_t h = 0x9e3779b97f4a7c15;
        for (auto const w : k) {
            h = (h ^ w) * 0xff51afd7ed558ccd;
            h ^= h >> 32;
        }
        return static_cast<std::size_t>(h);
    };
    auto const insert = [&](state const& s) {
        auto const k = pack(s);
        if (found.size() * 2 > table.size()) {
            table.assign(table.size() * 2, 0xffffffff);
            for (std::uint32_t n = 0; n < found.size(); ++n) {
                auto at = hash(found[n]) & (table.size() - 1);
                while (table[at] != 0xffffffff)
                    at = (at + 1) & (table.size() - 1);
                table[at] = n;
            }
        }
        auto at = hash(k) & (table.size() - 1);
        for (; table[at] != 0xffffffff; at = (at + 1) & (table.size() - 1))
            if (found[table[at]] == k)
                return;
        table[at] = static_cast<std::uint32_t>(found.size());
        found.push_back(k);
    };
    std::vector<std::uint32_t> parents; // how each was found first
    std::uint32_t current = 0;
    auto const note = [&](state const& s) {
        insert(s);
        if (parents.size() < found.size())
            parents.push_back(current);
    };
    auto const trace = [&](std::uint32_t at) {
        std::string text;
        for (;; at = parents[at]) {
            auto const s = unpack(found[at]);
            for (unsigned i = 0; i < how_.requesters; ++i)
                text += "r" + std::to_string(s.r[i].pc) + " ";
            text += "| order " + std::to_string(s.phase) + ":" + std::to_string(s.order_gen) + " thawed " + std::to_string(s.thawed) +
                    " bell " + std::to_string(s.bell) + " left " + std::to_string(s.left_tag) + ":" + std::to_string(s.left) + " |";
            for (unsigned i = 0; i < how_.vcpus; ++i) {
                auto const& v = s.v[i];
                text += " v" + std::to_string(v.pc) + " cell " + std::to_string(v.cell.status) + "/" + std::to_string(v.cell.pending) + "/" +
                        std::to_string(v.cell.gen) + " +" + std::to_string(v.buffered) + " kind " + std::to_string(v.kind) + " gen " +
                        std::to_string(v.gen) + " x" + std::to_string(v.exit_request) + " s" + std::to_string(v.signal) + ";";
            }
            text += "\n";
            if (at == 0)
                return text;
        }
    };
    outcome out;
    state first;
    for (unsigned i = 0; i < how_.requesters; ++i)
        first.r[i].left = static_cast<u8>(how_.freezes);
    note(first);
    for (std::size_t at = 0; at < found.size(); ++at) {
        out.states = found.size();
        if (found.size() > how_.most)
            return out;
        auto const s = unpack(found[at]);
        current = static_cast<std::uint32_t>(at);
        if (auto const* const what = broken_property(s); what != nullptr) {
            out.violation = what;
            out.trace = trace(current);
            return out;
        }
        bool moved = false;
        for (unsigned i = 0; i < how_.vcpus; ++i)
            moved |= step_vcpu(s, i, note);
        for (unsigned i = 0; i < how_.requesters; ++i)
            moved |= step_requester(s, i, note);
        if (moved)
            continue;
        bool done = true;
        for (unsigned i = 0; i < how_.requesters; ++i)
            done = done && s.r[i].pc == r_done;
        for (unsigned i = 0; i < how_.vcpus; ++i)
            done = done && (s.v[i].pc == v_guest || s.v[i].pc == v_dead);
        ++out.finals;
        if (!done) {
            out.violation = "nobody can go on: a wake-up was lost";
            out.trace = trace(current);
            return out;
        }
    }
    out.complete = true;
    return out;
}

} // namespace freeze_model
