// SPDX-License-Identifier: Apache-2.0
/// \file
/// docs/state-machines/freeze.md, made from the tables that the compiler sees.
#pragma once

#include "ktstr/freeze/captures.hpp"
#include "ktstr/freeze/transition.hpp"

#include <string>

namespace freeze_page {

using namespace ktstr;

template <class Mode>
std::string table() {
    std::string out = "| state |";
    for (auto const name : Mode::event_names)
        out += " " + std::string(name) + " |";
    out += "\n|---|";
    for (std::size_t i = 0; i < Mode::event_names.size(); ++i)
        out += "---|";
    out += '\n';
    for (std::size_t s = 0; s < freeze_states<Mode>; ++s) {
        out += "| **" + std::string(Mode::state_names[s]) + "** |";
        for (std::size_t e = 0; e < freeze_events<Mode>; ++e) {
            auto const to = next<Mode>(static_cast<typename Mode::state>(s), static_cast<typename Mode::event>(e));
            out += " " + (to ? std::string(state_name<Mode>(*to)) : std::string("–")) + " |";
        }
        out += '\n';
    }
    return out;
}

template <class Mode>
std::string drawing() {
    std::string out = "```mermaid\nstateDiagram-v2\n    [*] --> " + std::string(Mode::state_names[0]) + '\n';
    for (std::size_t s = 0; s < freeze_states<Mode>; ++s)
        for (std::size_t t = 0; t < freeze_states<Mode>; ++t) {
            std::string events;
            for (std::size_t e = 0; e < freeze_events<Mode>; ++e)
                if (auto const to = next<Mode>(static_cast<typename Mode::state>(s), static_cast<typename Mode::event>(e));
                    to && static_cast<std::size_t>(*to) == t)
                    events += (events.empty() ? "" : ", ") + std::string(Mode::event_names[e]);
            if (!events.empty())
                out += "    " + std::string(Mode::state_names[s]) + " --> " + std::string(Mode::state_names[t]) + ": " + events + '\n';
        }
    return out + "```\n";
}

inline std::string causes() {
    std::string out = "| cause | gate | extend | publish | reply | queue when busy |\n|---|---|---|---|---|---|\n";
    auto const yes = [](bool b) { return b ? "yes" : "no"; };
    for (std::size_t i = 0; i < freeze_causes; ++i) {
        auto const cause = static_cast<freeze_cause>(i);
        auto const p = policy_of(cause);
        out += "| " + std::string(name_of(cause)) + " | " + yes(p.gate) + " | " + yes(p.extend) + " | " + std::string(name_of(p.publish)) +
               " | " + yes(p.reply) + " | " + yes(p.queue_when_busy) + " |\n";
    }
    return out;
}

inline std::string page() {
    std::string const same = "`" + std::string(early_tags::degraded) + "`";
    return "# Snapshots: states and causes\n\n"
           "Made from `include/ktstr/freeze/state.hpp` and `trigger.hpp` by `tests/freeze/freeze_page.cpp`; do not edit: build\n"
           "`freeze-page` and run it with `--write`. A test (`tests/freeze/state_test.cpp`) compares this page with the code.\n\n"
           "A dash means that the event is not allowed there and changes nothing.\n\n"
           "## One snapshot (`single_snapshot`)\n\n" +
           table<single_snapshot>() + "\n" + drawing<single_snapshot>() +
           "\n## Two snapshots (`dual_snapshot`, `--dual-snapshot`)\n\n" + table<dual_snapshot>() + "\n" + drawing<dual_snapshot>() +
           "\nThe early snapshot is held in memory and gets its name from what comes later:\n\n"
           "| what comes later | name of the early snapshot |\n|---|---|\n"
           "| late_captured | `" + std::string(early_tags::beside_late) + "` |\n| late_degraded | `" +
           std::string(early_tags::late_degraded) + "` |\n| late_suppressed | `" + std::string(early_tags::late_suppressed) +
           "` |\n| run_ended in took_early | `" + std::string(early_tags::late_never_fired) +
           "` |\n| (the early one itself lacks something) | " + same +
           ", at once |\n\n"
           "If it cannot be stored it stays in memory under that name and is stored again at the end of the run; if that fails,\n"
           "too, the run's account says so.\n\n"
           "## What each cause is entitled to\n\n" +
           causes() +
           "\n*gate*: once frozen, the machine is asked whether the trigger was right; if not, nothing is captured. *extend*: the\n"
           "deadline moves by the frozen time. *publish*: `main` is the run's own snapshot, `tagged` one with a name of its own,\n"
           "`kept` waits for its name. *reply*: somebody waits for an answer. *queue when busy*: waits while another freeze is\n"
           "held; the others are answered \"in flight\".\n\n"
           "Every cause goes through the same steps (`captures::capture` in `include/ktstr/freeze/captures.hpp`): allowed in this\n"
           "state, freeze, gate, capture, thaw, extend, publish, reply. Requests, watchpoints, periodic captures and host calls\n"
           "are served in every state.\n";
}

} // namespace freeze_page
