// SPDX-License-Identifier: Apache-2.0
/// \file
/// All captures of one run: in single or dual mode, both compiled, one of them used.
#pragma once

#include "ktstr-run/snapshots.hpp"
#include "ktstr/freeze/captures.hpp"
#include "ktstr/freeze/transition.hpp"

#include <optional>
#include <utility>

namespace ktstr::tool {

/// Hands triggers to the machine of states that the user chose. The supervising thread.
class snapshot_desk {
public:
    snapshot_desk(snapshot_steps& steps, bool dual) {
        if (dual)
            dual_.emplace(steps);
        else
            single_.emplace(steps);
    }
    template <class Cause>
    capture_outcome capture(Cause cause) {
        if (dual_)
            return dual_->capture(dual_snapshot::trigger_type(std::move(cause)));
        return single_->capture(single_snapshot::trigger_type(std::move(cause)));
    }
    /// The early trigger, which only the dual mode has; the single one has no such state, and does nothing here.
    void early(early_age cause) {
        if (dual_)
            dual_->capture(dual_snapshot::trigger_type(cause));
    }
    void service() {
        if (dual_)
            dual_->service();
        else
            single_->service();
    }
    void finish() {
        if (dual_)
            dual_->finish();
        else
            single_->finish();
    }

private:
    std::optional<captures<single_snapshot, snapshot_steps>> single_;
    std::optional<captures<dual_snapshot, snapshot_steps>> dual_;
};

} // namespace ktstr::tool
