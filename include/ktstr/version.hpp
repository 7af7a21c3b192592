// SPDX-License-Identifier: Apache-2.0
/// \file
/// The version of this library: the one place that says it (meson.build reads the line below).
#pragma once

#include <string_view>

namespace ktstr {

/// MAJOR.MINOR.PATCH; a change of MAJOR may break source compatibility and is listed first in docs/CHANGES.md.
inline constexpr std::string_view library_version = "0.1.0";

} // namespace ktstr
