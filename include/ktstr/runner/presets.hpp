// SPDX-License-Identifier: Apache-2.0
/// \file
/// The blessed runners. Nothing else in the library names concrete policies.
#pragma once

#include "ktstr/runner/basic_runner.hpp"
#include "ktstr/runner/traits.hpp"

namespace ktstr {

/// This host's KVM, no devices.
using runner = basic_runner<default_runner_traits>;
/// Scripted vCPUs, no hardware.
using scripted_runner = basic_runner<scripted_runner_traits>;

} // namespace ktstr

#if defined(KTSTR_EXTERN_TEMPLATES)
extern template class ktstr::basic_runner<ktstr::default_runner_traits>;
extern template class ktstr::basic_runner<ktstr::scripted_runner_traits>;
#endif
