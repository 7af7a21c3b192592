// SPDX-License-Identifier: Apache-2.0
/// \file
/// Watching a machine that runs: messages in, input out, deadlines, and how it came to its end.
#pragma once

#include "ktstr-run/control_socket.hpp"
#include "ktstr-run/guest_link.hpp"
#include "ktstr-run/linux_machine.hpp"
#include "ktstr-run/run_machine.hpp"
#include "ktstr-run/snapshot_desk.hpp"
#include "ktstr-run/snapshots.hpp"
#include "ktstr/freeze/periodic.hpp"
#include "ktstr/freeze/request_gate.hpp"
#include "ktstr/freeze/watch_poller.hpp"
#include "ktstr/run/deadline.hpp"
#include "ktstr/scenario/evidence.hpp"
#include "ktstr/scenario/recorder.hpp"
#include "support/progress.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ktstr::tool {

/// Limits of a run that the user does not name.
struct supervision_limits {
    /// CPU service a guest may take until its agent speaks: this much, and this much more a vCPU. Time that the host
    /// gave to others does not count, so a crowded host fails no boot.
    nanos boot_service = seconds(240);
    nanos boot_service_per_vcpu = seconds(20);
    /// CPU service the guest may take without a word from its agent once it has spoken.
    nanos silent_service = seconds(30);
    nanos silent_service_per_vcpu = seconds(10);
    /// Wall time without a word from a guest that hardly asks for a CPU: nobody is going to speak.
    nanos idle_silence = seconds(60);
    /// Wall time from the exit message to the guest's own end; then we end it.
    nanos leave = seconds(10);
    /// How long before the wall limit the guest is asked to stop.
    nanos soft_lead = seconds(5);
};

/// The supervising thread's work on one machine, from start to end.
class supervisor {
public:
    supervisor(machine_request const& request, linux_machine& machine, progress& show, nanos from,
               supervision_limits const& limits = {});

    /// Starts the vCPUs and returns when the machine has ended and every thread is joined.
    [[nodiscard]] outcome<run_evidence> run();
    /// What became of the snapshots, once `run` has returned.
    [[nodiscard]] std::vector<snapshot_taken> const& snapshots() const noexcept { return steps_.taken(); }
    /// What happened at each watchpoint that was armed.
    [[nodiscard]] std::vector<watch_report> watches() const;

    /// How many were asked for and never came to be taken.
    [[nodiscard]] std::size_t missed_snapshots() const noexcept {
        return (planned_ ? due_.size() : request_.snapshots.at.size()) +
               (request_.snapshots.periodic - std::min(request_.snapshots.periodic, periodic_.taken()));
    }

private:
    void wait();
    void take_messages();
    void on_message(wire::guest_message const& message);
    void take_input();
    void take_events();
    void follow_window();
    void check_deadlines();
    void look_for_silence(nanos now);
    void plan_snapshots();
    void take_snapshots();
    void arm_watches();
    [[nodiscard]] std::string watch(std::string const& text);
    void take_watch_hits();
    void serve_requests();
    void after_capture();
    void serve_control();
    void stand_still(control_request& asked, std::string const& tag);
    void end(end_kind kind, std::uint64_t value, stop_cause cause);
    /// CPU time of all vCPUs: what they got, and that plus what they waited for.
    struct demand {
        nanos served{};
        nanos wanted{};
    };
    [[nodiscard]] demand service() const;
    [[nodiscard]] machine_end classify(runner_end const& seen) const;
    void mark(std::string name);

    machine_request const& request_;
    linux_machine& machine_;
    progress& show_;
    nanos from_;
    supervision_limits limits_;
    guest_link link_;
    evidence_recorder recorder_;
    deadline wall_;
    terminal_escape escape_;
    std::vector<std::byte> inbox_;
    bool asked_to_stop_ = false;
    bool input_open_ = true;
    bool scenario_seen_ = false;
    nanos exit_at_{};          ///< When the exit message came; 0: not yet.
    nanos heard_at_{};         ///< Wall time of the last word of the agent.
    demand heard_service_{};   ///< CPU service at that moment.
    std::int64_t last_heard_ns_ = 0;
    nanos next_sample_{};
    nanos next_window_{};
    std::uint16_t rows_ = 0, columns_ = 0;
    machine_end end_{};
    bool ended_ = false;
    std::uint64_t fatal_detail_ = 0;
    bool planned_ = false;
    bool early_taken_ = false;
    std::size_t at_taken_ = 0;
    std::size_t shown_ = 0;
    unsigned frozen_by_hand_ = 0;
    std::vector<nanos> due_; ///< Moments of the host's clock, ascending; planned when the scenario starts.
    periodic_schedule periodic_;
    request_gate requests_;
    bool watching_ = false; ///< Whether it is known if watchpoints fire here.
    bool polls_watches_ = false; ///< Watchpoints do not fire here: look at the memory instead.
    watch_poller poller_;
    std::vector<vcpu_event> hits_;
    control_socket control_;
    snapshot_steps steps_;
    snapshot_desk desk_;
};

} // namespace ktstr::tool
