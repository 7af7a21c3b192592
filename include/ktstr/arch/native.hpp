// SPDX-License-Identifier: Apache-2.0
/// \file
/// The architecture this program runs on, as a type. With kvm/native.hpp the only place that asks.
#pragma once

#if defined(__x86_64__)
#include "ktstr/arch/x86_64/x86_64.hpp"
namespace ktstr {
using native_arch = x86_64;
}
#else
#error "ktstr: no Arch model for this host; see the checklist in ktstr/arch/arch.hpp"
#endif
