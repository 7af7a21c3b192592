// SPDX-License-Identifier: Apache-2.0
/// \file
/// The gate: the only way to hold a freeze. While it lives the machine stands still; its end lets the machine go.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/hv/guest_clocks.hpp"

#include <cstdint>
#include <utility>
#include <vector>

namespace ktstr {

/// What a freeze is asked for.
struct freeze_options {
    bool park = true;            ///< False: only guest memory must be still; registers cannot be read.
    bool hold_clocks = true;     ///< The guest's clocks stand still, too, where this host can do that.
    nanos timeout = seconds(30); ///< For all threads to answer, and again for all of them to go on.
};

/// A thread that did not answer in time.
struct freeze_missing {
    std::uint32_t thread = 0; ///< vCPUs first, in their order, then workers.
    bool worker = false;
    bool in_guest = false;    ///< It was in KVM_RUN, or on its way there; else in our code, handling an exit.
};

/// How a freeze came about. Times are the runner's clock.
struct freeze_report {
    std::uint32_t generation = 0;
    nanos requested{};
    nanos quiesced{}; ///< Guest memory was still from here on; equal to `parked` where only acknowledgements prove it.
    nanos parked{};   ///< The last thread had acknowledged; 0 when that was not asked for, or not reached.
    clocks_held clocks{}; ///< What the guest's clocks will not see of this freeze.
    std::vector<freeze_missing> missing; ///< Empty for a whole freeze.

    [[nodiscard]] bool whole() const noexcept { return missing.empty(); }
};

/// How a freeze ended.
struct thaw_report {
    nanos released{};    ///< When the threads were let go.
    nanos resumed{};     ///< When the last of them had left.
    clocks_held clocks{};
    bool all_left = true; ///< False: some thread had not woken up in time; it will.
};

/// Holds a freeze of `Runner`. Movable, used by one thread. Destroying it thaws.
template <class Runner>
class [[nodiscard]] freeze_gate {
public:
    freeze_gate(Runner& runner, freeze_report report) noexcept : runner_(&runner), report_(std::move(report)) {}
    freeze_gate(freeze_gate&& other) noexcept
        : runner_(std::exchange(other.runner_, nullptr)), report_(std::move(other.report_)) {}
    freeze_gate& operator=(freeze_gate&&) = delete;
    ~freeze_gate() {
        if (runner_ != nullptr)
            static_cast<void>(runner_->end_freeze());
    }

    [[nodiscard]] freeze_report const& report() const noexcept { return report_; }
    /// Lets the machine go. Once.
    thaw_report thaw() noexcept { return std::exchange(runner_, nullptr)->end_freeze(); }

private:
    Runner* runner_;
    freeze_report report_;
};

} // namespace ktstr
