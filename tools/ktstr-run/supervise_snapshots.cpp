// SPDX-License-Identifier: Apache-2.0
// What the supervisor does about snapshots: when one is due, who asked, and standing still on command.
#include "ktstr-run/supervise.hpp"

#include "ktstr/probe/watchpoint_probe.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <poll.h>
#include <utility>

namespace ktstr::tool {

namespace {
nanos now() { return monotonic_clock{}.now(); }
} // namespace

void supervisor::plan_snapshots() {
    if (std::exchange(planned_, true)) // the first of repeated runs is the one that is meant
        return;
    auto const start = now();
    auto const& wish = request_.snapshots;
    for (auto const at : wish.at)
        due_.push_back(start + at);
    if (auto const spread = periodic_boundaries::make({wish.periodic, nanos{static_cast<std::int64_t>(request_.what.duration_ns)}}))
        periodic_ = periodic_schedule(*spread);
    periodic_.start(start);
    steps_.know(recorder_.so_far().kernel_note);
    requests_.captures_ready();
    requests_.watches_ready();
    arm_watches();
}

void supervisor::arm_watches() {
    auto const& wish = request_.snapshots.watch;
    for (auto const& text : wish)
        if (auto const why = watch(text); !why.empty())
            show_.line("watch " + text + " is not armed: " + why);
    after_capture();
}

/// Arms one watchpoint, the user's or the guest's; why not, otherwise. The first asks a tiny guest whether they fire here.
std::string supervisor::watch(std::string const& text) {
    auto why = steps_.watch(text, {});
    if (!why.empty() || std::exchange(watching_, true))
        return why;
    auto const works = watchpoints_work(seconds(2));
    polls_watches_ = !works || !*works;
    if (polls_watches_)
        show_.line("watchpoints do not fire on this machine: the values are looked at every 5 ms instead");
    return {};
}

void supervisor::take_snapshots() {
    steps_.collect();
    desk_.service();
    if (machine_.runner->stopping())
        return;
    take_watch_hits();
    serve_requests();
    while (!due_.empty() && now() >= due_.front()) {
        char text[32];
        std::snprintf(text, sizeof text, "at-%zu", ++at_taken_);
        due_.erase(due_.begin());
        desk_.capture(host_call{text});
        after_capture();
    }
    if (auto const index = periodic_.due(now())) {
        auto const at = now();
        auto const outcome = desk_.capture(periodic_due{*index});
        if (outcome == capture_outcome::failed)
            periodic_.failed(at);
        else
            periodic_.fired(at);
        after_capture();
    }
}

void supervisor::take_watch_hits() {
    auto& set = steps_.watches();
    if (polls_watches_ && set.any_armed())
        poller_.look(set, machine_.runner->memory(),
                     [&](std::uint32_t slot, std::uint64_t value) { hits_.push_back({exit_kind::debug, value, slot, true}); });
    for (auto const& hit : std::exchange(hits_, {})) {
        auto const outcome =
            desk_.capture(watch_hit{hit.slot, set.request(hit.slot).tag, hit.detail, hit.known, polls_watches_});
        if (outcome == capture_outcome::failed)
            set.not_served(hit.slot);
        after_capture();
    }
}

void supervisor::serve_requests() {
    while (auto const request = requests_.next()) {
        if (request->kind == wire::snapshot_kind::capture) {
            desk_.capture(guest_request{request->request_id, request->tag});
        } else {
            auto const why = watch(request->tag);
            link_.send(wire::snapshot_reply{request->request_id, why.empty(), why});
        }
        after_capture();
    }
}

/// What every capture leaves to be done: answers, and the time that the guest did not see.
void supervisor::after_capture() {
    for (auto const& reply : steps_.take_replies())
        link_.send(reply);
    auto const frozen = steps_.take_frozen();
    wall_.extend(extension_cause::freeze, frozen, now());
    periodic_.frozen(frozen);
    for (auto& at : due_)
        at = at + frozen;
    if (auto const& all = steps_.taken(); all.size() > shown_) {
        shown_ = all.size();
        show_.line("snapshot " + all.back().tag);
    }
}

void supervisor::serve_control() {
    if (control_.fd() < 0)
        return;
    while (auto asked = control_.next()) {
        auto const& line = asked->command();
        if (line == "status")
            asked->answer("ok running");
        else if (line == "thaw")
            asked->answer("error this machine is not frozen");
        else if (line == "freeze" || (line.starts_with("freeze ") && valid_machine_name(line.substr(7))))
            stand_still(*asked, line.size() > 7 ? line.substr(7) : "frozen-" + std::to_string(++frozen_by_hand_));
        else
            asked->answer("error unknown command");
    }
}

/// Holds the machine frozen until somebody says thaw, or ends it. Meanwhile this thread touches nothing of the guest.
void supervisor::stand_still(control_request& asked, std::string const& tag) {
    steps_.know(recorder_.so_far().kernel_note);
    freeze_options how;
    how.timeout = request_.snapshots.freeze_timeout;
    auto gate = machine_.runner->freeze(how);
    if (!gate)
        return asked.answer("error the machine cannot be frozen: " + std::string(gate.error().where));
    asked.answer("ok " + steps_.take_held(*gate, tag));
    show_.line("frozen; 'ktstr-run thaw' lets it go on");
    std::optional<control_request> thawer;
    while (!thawer && !machine_.runner->stopping() && interrupt::number() == 0) {
        std::array<pollfd, 3> set{{{control_.fd(), POLLIN, 0},
                                   {request_.stop != nullptr ? request_.stop->fd() : -1, POLLIN, 0},
                                   {machine_.runner->wake_fd(), POLLIN, 0}}};
        ::poll(set.data(), set.size(), 500);
        steps_.collect();
        if (auto next = control_.next()) {
            if (next->command() == "thaw")
                thawer.emplace(std::move(*next));
            else
                next->answer(next->command() == "status" ? "ok frozen" : "error this machine is frozen");
        }
    }
    auto const frozen = steps_.thaw(std::move(*gate));
    steps_.extend(frozen);
    after_capture();
    heard_at_ = now(); // nobody could speak
    if (thawer)
        thawer->answer("ok " + std::to_string(static_cast<double>(frozen.raw) / 1e9));
    show_.line("it goes on");
}

std::vector<watch_report> supervisor::watches() const {
    std::vector<watch_report> out;
    for (std::uint32_t i = 0; i < watch_slots; ++i)
        if (auto const r = machine_.watches->report(i); r.place.size != 0)
            out.push_back(r);
    return out;
}

} // namespace ktstr::tool
