// SPDX-License-Identifier: Apache-2.0
// ktstr-lab: an emulated machine with a nested /dev/kvm. The same binary is the host's tool and the machine's pid 1.
#include "ktstr-lab/commands.hpp"
#include "ktstr-lab/guest.hpp"
#include "ktstr/sys/io.hpp"

#include <array>
#include <cstdio>
#include <span>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {
using namespace ktstr;

bool is_lab_init() {
    if (::getpid() != 1)
        return false;
    // Pid 1 of a container has a /proc already; in our own initramfs nobody has mounted it yet.
    auto line = read_file("/proc/cmdline");
    if (!line) {
        ::mkdir("/proc", 0755);
        ::mount("proc", "/proc", "proc", 0, nullptr);
        line = read_file("/proc/cmdline");
    }
    return line && line->find("ktstr.role=lab") != std::string::npos;
}

struct command_entry {
    std::string_view name;
    lab::outcome<int> (*act)(lab::cli_options const&);
};
constexpr std::array table{command_entry{"run", lab::run_command},     command_entry{"start", lab::start_command},
                           command_entry{"exec", lab::exec_command},   command_entry{"ps", lab::ps_command},
                           command_entry{"log", lab::log_command},     command_entry{"stop", lab::stop_command},
                           command_entry{"prepare", lab::prepare_command}, command_entry{"monitor", lab::monitor_command},
                           command_entry{"version", lab::version_command}};
} // namespace

int main(int argc, char** argv) {
    if (is_lab_init())
        lab::guest::init_main();
    auto const options = lab::parse_options(std::span(argv, static_cast<std::size_t>(argc)));
    auto const fail = [](tool::problem const& p) {
        tool::print(p);
        return static_cast<int>(p.code);
    };
    if (!options)
        return fail(options.error());
    if (options->help) {
        std::fputs(lab::help_text(options->command).c_str(), stdout);
        return 0;
    }
    for (auto const& each : table) {
        if (each.name != options->command)
            continue;
        auto const code = each.act(*options);
        return code ? *code : fail(code.error());
    }
    return 2;
}
