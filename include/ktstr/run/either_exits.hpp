// SPDX-License-Identifier: Apache-2.0
/// \file
/// An exit policy that is one of two, chosen when the machine is built: for programs whose user chooses between machines
/// that are different types.
#pragma once

#include "ktstr/hv/exit.hpp"
#include "ktstr/hv/exit_policy.hpp"

namespace ktstr {

/// Hands every exit to the `First` or the `Second` it was made with (borrowed). One branch that a run always takes the same
/// way; no virtual call. A harness that knows its machine needs none of this.
template <ExitPolicy First, ExitPolicy Second>
class either_exits {
public:
    explicit either_exits(First& policy) noexcept : first_(&policy) {}
    explicit either_exits(Second& policy) noexcept : second_(&policy) {}

    exit_verdict on_pio_in(pio_exit const& e) noexcept { return first_ ? first_->on_pio_in(e) : second_->on_pio_in(e); }
    exit_verdict on_pio_out(pio_exit const& e) noexcept { return first_ ? first_->on_pio_out(e) : second_->on_pio_out(e); }
    exit_verdict on_mmio_read(mmio_exit const& e) noexcept {
        return first_ ? first_->on_mmio_read(e) : second_->on_mmio_read(e);
    }
    exit_verdict on_mmio_write(mmio_exit const& e) noexcept {
        return first_ ? first_->on_mmio_write(e) : second_->on_mmio_write(e);
    }
    exit_verdict on_halt(halt_exit const& e) noexcept { return first_ ? first_->on_halt(e) : second_->on_halt(e); }
    exit_verdict on_shutdown(shutdown_exit const& e) noexcept {
        return first_ ? first_->on_shutdown(e) : second_->on_shutdown(e);
    }
    exit_verdict on_system_event(system_event_exit const& e) noexcept {
        return first_ ? first_->on_system_event(e) : second_->on_system_event(e);
    }
    exit_verdict on_fail_entry(fail_entry_exit const& e) noexcept {
        return first_ ? first_->on_fail_entry(e) : second_->on_fail_entry(e);
    }
    exit_verdict on_internal_error(internal_error_exit const& e) noexcept {
        return first_ ? first_->on_internal_error(e) : second_->on_internal_error(e);
    }
    exit_verdict on_debug(debug_exit const& e) noexcept { return first_ ? first_->on_debug(e) : second_->on_debug(e); }
    exit_verdict on_unknown(unknown_exit const& e) noexcept {
        return first_ ? first_->on_unknown(e) : second_->on_unknown(e);
    }

private:
    First* first_ = nullptr;
    Second* second_ = nullptr;
};

} // namespace ktstr
