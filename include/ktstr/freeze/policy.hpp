// SPDX-License-Identifier: Apache-2.0
/// \file
/// The `FreezePolicy` of a traits bag: whether a machine can be frozen, and by which rendezvous.
///
/// Contract: a type without state. `enabled`, and `point_type`, the `Parker` that its threads get; when enabled,
/// `rendezvous_type`, too. Models: `no_freeze` (nothing is compiled into the vCPU loop), `freezable`.
/// Suite: tests/suites/freeze_policy_suite.hpp.
#pragma once

#include "ktstr/freeze/arrivals.hpp"
#include "ktstr/freeze/fence.hpp"
#include "ktstr/freeze/rendezvous.hpp"
#include "ktstr/run/parker.hpp"

#include <concepts>

namespace ktstr {

/// See the contract at the top of this file.
template <class F>
concept FreezePolicy = Parker<typename F::point_type> && requires {
    { F::enabled } -> std::convertible_to<bool>;
};

/// Fails to compile with one sentence per requirement that `F` misses.
template <class F>
consteval bool explain_freeze_policy() {
    static_assert(FreezePolicy<F>, "FreezePolicy: missing `static constexpr bool enabled` or a `point_type` that is a Parker");
    return FreezePolicy<F>;
}

/// The machine cannot be frozen; its vCPU loop has no trace of it.
struct no_freeze {
    static constexpr bool enabled = false;
    using point_type = never_parks;
};
static_assert(FreezePolicy<no_freeze>);

/// The machine can be frozen; arrivals and fence of the rendezvous as given.
template <Arrivals Hear = futex_arrivals, FreezeFence Fence = asymmetric_fence>
struct freezable {
    static constexpr bool enabled = true;
    using rendezvous_type = rendezvous<Hear, Fence>;
    using point_type = typename rendezvous_type::point_type;
};
static_assert(FreezePolicy<freezable<>>);

} // namespace ktstr
