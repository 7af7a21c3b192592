// SPDX-License-Identifier: Apache-2.0
/// \file
/// The commands of ktstr-lab; each returns the program's exit code.
#pragma once

#include "ktstr-lab/options.hpp"

namespace ktstr::lab {

[[nodiscard]] outcome<int> run_command(cli_options const& options);
[[nodiscard]] outcome<int> start_command(cli_options const& options);
[[nodiscard]] outcome<int> exec_command(cli_options const& options);
[[nodiscard]] outcome<int> ps_command(cli_options const& options);
[[nodiscard]] outcome<int> log_command(cli_options const& options);
[[nodiscard]] outcome<int> monitor_command(cli_options const& options);
[[nodiscard]] outcome<int> stop_command(cli_options const& options);
[[nodiscard]] outcome<int> prepare_command(cli_options const& options);
[[nodiscard]] outcome<int> version_command(cli_options const& options);

} // namespace ktstr::lab
