// SPDX-License-Identifier: Apache-2.0
/// \file
/// The `GuestClocks` policy: what keeps a guest from seeing that it was frozen.
///
/// Contract: `note(vm)` as soon as guest memory is still; `holdable(each)` when every vCPU is parked says which clocks will
/// be put back; `restore(vm, each)` does it, just before they go on, and says which it were. `each(f)` calls `f(vcpu)` for
/// every vCPU. A clock that cannot be held runs on: no error, the snapshot says so. Models: `running_clocks` (holds none), `kvm::guest_clocks` (kvm/x86_64/clock.hpp).
#pragma once

namespace ktstr {

/// Which clocks of the guest stood still during a freeze.
struct clocks_held {
    bool kvm_clock = false;
    bool counter = false; ///< TSC, or the virtual counter.
    friend bool operator==(clocks_held const&, clocks_held const&) noexcept = default;
};

/// Lets every clock run on.
struct running_clocks {
    template <class Vm>
    void note(Vm&) noexcept {}
    template <class Each>
    [[nodiscard]] clocks_held holdable(Each) noexcept {
        return {};
    }
    template <class Vm, class Each>
    [[nodiscard]] clocks_held restore(Vm&, Each) noexcept {
        return {};
    }
};

} // namespace ktstr
