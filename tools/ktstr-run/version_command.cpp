// SPDX-License-Identifier: Apache-2.0
/// \file
/// `ktstr-run version [--json]`.
#include "ktstr-run/command.hpp"
#include "ktstr/version.hpp"

#include <cstdio>

namespace ktstr::tool {

outcome<exit_code> version_command(invocation const& call) {
    if (call.has("json"))
        std::printf("{\"schema\":\"ktstr.version/1.0\",\"version\":\"%s\"}\n", library_version.data());
    else
        std::printf("ktstr-run %s\n", library_version.data());
    return exit_code::pass;
}

} // namespace ktstr::tool
