// SPDX-License-Identifier: Apache-2.0
// A sink of message-signalled interrupts that may throw is told what is missing.
// EXPECT: MsiSink: missing `void send(msi_message const&) noexcept`
#include "ktstr/hv/msi.hpp"

struct loud_sink {
    void send(ktstr::msi_message const&) {}
};
static_assert(ktstr::explain_msi_sink<ktstr::null_msi>());
#ifdef KTSTR_EXPECT_FAIL
static_assert(ktstr::explain_msi_sink<loud_sink>());
#endif
