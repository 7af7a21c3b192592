// SPDX-License-Identifier: Apache-2.0
/// \file
/// `ktstr-run doctor [--json]`: looks at this machine by running guests on it.
#include "ktstr-run/command.hpp"
#include "ktstr-run/doctor_report.hpp"
#include "ktstr-run/programs.hpp"
#include "ktstr/probe/host_resources.hpp"
#include "ktstr/probe/kvm_probe.hpp"
#include "ktstr/probe/watchpoint_probe.hpp"
#include "ktstr/sys/io.hpp"
#include "support/terminal.hpp"
#include "support/xdg.hpp"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

namespace ktstr::tool {

namespace {

/// The first field of the line of a passwd-like file whose third field is `id`. The static binary must not ask NSS.
std::string name_in(char const* file, unsigned id) {
    auto const text = read_file(file);
    if (!text)
        return {};
    auto const wanted = ':' + std::to_string(id) + ':';
    for (std::string_view rest = *text; !rest.empty();) {
        auto const end = rest.find('\n');
        auto const line = rest.substr(0, end);
        rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
        auto const name_end = line.find(':');
        auto const id_at = line.find(':', name_end == std::string_view::npos ? name_end : name_end + 1);
        if (id_at != std::string_view::npos && line.substr(id_at).starts_with(wanted))
            return std::string(line.substr(0, name_end));
    }
    return {};
}

bool has_lab_parts(std::string const& cache) {
    DIR* const dir = ::opendir((cache + "/lab").c_str());
    if (dir == nullptr)
        return false;
    bool found = false;
    while (dirent const* const e = ::readdir(dir))
        found = found || std::string_view(e->d_name).starts_with("base-");
    ::closedir(dir);
    return found;
}

} // namespace

outcome<exit_code> doctor_command(invocation const& call) {
    doctor_facts facts;
    auto const kvm = probe_kvm();
    if (!kvm)
        return std::unexpected(problem_from(kvm.error(), exit_code::harness, "cannot probe this machine", "/dev/kvm"));
    facts.kvm = *kvm;
    if (kvm->access == kvm_access::opened) {
        auto const watch = probe_watchpoint();
        facts.kvm.watchpoint = watch ? *watch : stub_result{stub_outcome::failed, static_cast<std::uint32_t>(watch.error().os_errno)};
    }
    auto const cache = xdg_path(xdg_folder::cache).value_or(std::string());
    facts.host = read_host_resources(cache);
    facts.lab_program = lab_program();
    facts.lab_fetched = !cache.empty() && has_lab_parts(cache);
    facts.user = name_in("/etc/passwd", ::geteuid());
    struct stat st {};
    if (::stat("/dev/kvm", &st) == 0 && (st.st_mode & 0060) == 0060 && st.st_gid != 0)
        facts.kvm_group = name_in("/etc/group", st.st_gid);
    auto const* const value = std::getenv("PATH");
    std::string const path = value != nullptr ? value : "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
    auto const program = [&](char const* name, bool optional, char const* used_for) {
        facts.programs.push_back({name, find_program(name, path), optional, used_for});
    };
    program("apt-get", false, "fetching kernels and the lab's parts");
    program("dpkg-deb", false, "unpacking kernels and the lab's parts");
    program("qemu-system-x86_64", true, "comparing boot times with QEMU (the lab brings its own)");
    program("iasl", true, "checking the ACPI tables in the tests");

    auto const report = make_doctor_report(facts);
    auto const text = call.has("json") ? doctor_json(facts, report) : doctor_text(facts, report, use_colour(STDOUT_FILENO));
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
        return problem_of(exit_code::harness, "cannot write the report", "standard output");
    return report.can_boot ? exit_code::pass : exit_code::missing;
}

} // namespace ktstr::tool
