// SPDX-License-Identifier: Apache-2.0
// An exit policy that forgot a kind of exit does not make a runner, and the sentence says which.
// EXPECT: ExitPolicy: missing `exit_verdict on_halt(halt_exit const&) noexcept`
#include "ktstr/runner/checks.hpp"
#include "ktstr/runner/traits.hpp"

struct sleepy_exits : ktstr::exit_defaults<ktstr::native_arch> {
#ifdef KTSTR_EXPECT_FAIL
    void on_halt(ktstr::halt_exit const&) noexcept {}
#endif
};
struct traits : ktstr::scripted_runner_traits {
    using exits = sleepy_exits;
};
static_assert(ktstr::explain_runner_traits<traits>());
