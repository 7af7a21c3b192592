// SPDX-License-Identifier: Apache-2.0
/// \file
/// Picks the KVM register code of the host's architecture. With arch/native.hpp the only place that asks.
#pragma once

#if defined(__x86_64__)
#include "ktstr/kvm/x86_64/regs.hpp"
#else
#error "ktstr: no KVM backend for this host; see the checklist in ktstr/arch/arch.hpp"
#endif
