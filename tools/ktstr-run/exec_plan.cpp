// SPDX-License-Identifier: Apache-2.0
/// \file
/// Planning `exec` and `shell`.
#include "ktstr-run/exec_plan.hpp"

#include "ktstr-run/guest_plan.hpp"

#include <array>
#include <cstdlib>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ktstr::tool {
namespace {

constexpr std::string_view usual_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What a shell without busybox gets.
constexpr std::array<std::string_view, 28> shell_programs{
    "sh",    "ls",    "cat",  "cp",   "mv",    "rm",      "mkdir", "ln",    "grep",  "sed",
    "head",  "tail",  "wc",   "sort", "ps",    "top",     "kill",  "sleep", "mount", "umount",
    "dmesg", "uname", "free", "find", "lscpu", "taskset", "chrt",  "id"};

bool executable(std::string const& path) {
    struct stat st{};
    return ::stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

std::string_view search_path() {
    auto const* given = std::getenv("PATH");
    return given != nullptr && given[0] != '\0' ? std::string_view(given) : usual_path;
}

plan base_plan(run_mode mode, boot_options const& options) {
    plan out;
    out.mode = mode;
    out.host_cpus = usable_cpus();
    out.topology = checked_topology(options);
    if (auto const* term = std::getenv("TERM"); term != nullptr)
        out.environment.push_back(fmt::format("TERM={}", term));
    winsize size{};
    if (::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row != 0 && size.ws_col != 0) {
        out.rows = size.ws_row;
        out.columns = size.ws_col;
    }
    return out;
}

} // namespace

std::string find_program(std::string_view name, std::string_view path) {
    if (name.empty())
        return {};
    if (name.find('/') != std::string_view::npos) {
        auto const whole = absolute_path(name);
        return executable(whole) ? whole : std::string();
    }
    for (;;) {
        auto const colon = path.find(':');
        auto const folder = path.substr(0, colon);
        auto const candidate = absolute_path(folder.empty() ? name : fmt::format("{}/{}", folder, name));
        if (executable(candidate))
            return candidate;
        if (colon == std::string_view::npos)
            return {};
        path.remove_prefix(colon + 1);
    }
}

outcome<program_plan> plan_exec(std::vector<std::string> const& words, boot_options const& options,
                                std::vector<std::string> const& found_words) {
    program_plan out;
    out.what = base_plan(run_mode::exec, options);
    out.what.forward_stdin = true;
    out.what.arguments = words;
    if (!found_words.empty())
        out.what.arguments[0] = found_words[0];
    if (!options.initramfs.empty())
        return out;
    auto const found = find_program(words[0], search_path());
    if (found.empty())
        return problem_of(exit_code::bad_input, fmt::format("no program '{}' on this machine", words[0]),
                          "command 'exec'", "give its path, and see that it is executable");
    out.files.push_back({found, found});
    out.what.arguments[0] = found;
    return out;
}

outcome<program_plan> plan_shell(boot_options const& options, std::vector<std::string> const& found_words) {
    program_plan out;
    out.what = base_plan(run_mode::shell, options);
    if (!options.initramfs.empty()) {
        out.what.arguments = found_words;
        return out;
    }
    if (auto const busybox = find_program("busybox", search_path()); !busybox.empty()) {
        out.files.push_back({busybox, "/bin/busybox"});
        out.what.arguments = {"/bin/busybox", "sh", "-c", "/bin/busybox --install -s /bin; exec /bin/busybox sh -l"};
        return out;
    }
    for (auto const name : shell_programs)
        if (auto const found = find_program(name, search_path()); !found.empty())
            out.files.push_back({found, fmt::format("/bin/{}", name)});
    if (out.files.empty() || out.files[0].path != "/bin/sh")
        return problem_of(exit_code::missing, "this machine has neither busybox nor sh for the guest",
                          "command 'shell'", "install busybox-static");
    out.what.arguments = {"/bin/sh"};
    return out;
}

} // namespace ktstr::tool
