// SPDX-License-Identifier: Apache-2.0
#include "ktstr-lab/debian_fetch.hpp"
#include "ktstr/sys/io.hpp"
#include "ktstr/sys/publish.hpp"
#include "support/xdg.hpp"

#include <algorithm>
#include <cstring>
#include <dirent.h>
#include <sys/stat.h>

namespace ktstr::lab {

namespace {
std::vector<std::string> split(std::string_view text, char by) {
    std::vector<std::string> out;
    while (!text.empty()) {
        auto const at = text.find(by);
        out.emplace_back(text.substr(0, at));
        text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
    }
    return out;
}

std::string trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
        text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\n'))
        text.remove_suffix(1);
    return std::string(text);
}

/// The keyring that the sources file names for its entry: "Signed-By: FILE" or "[signed-by=FILE]".
std::string keyring_of(std::string const& entry) {
    auto const text = read_file(entry.substr(0, entry.rfind(':')).c_str());
    if (!text)
        return {};
    for (auto const& line : split(*text, '\n')) {
        if (line.starts_with('#'))
            continue;
        // A key may also stand in the file itself; then apt's own trusted keys have to do.
        if (line.starts_with("Signed-By:") && line.find('/') != std::string::npos)
            return trim(std::string_view(line).substr(line.find('/')));
        auto const at = line.find("signed-by=");
        if (at != std::string::npos)
            return line.substr(at + 10, line.find_first_of(" ]", at) - at - 10);
    }
    return {};
}

outcome<std::string> codename() {
    auto const text = read_file("/etc/os-release");
    if (text)
        for (auto const& line : split(*text, '\n'))
            if (line.starts_with("VERSION_CODENAME="))
                return trim(std::string_view(line).substr(17));
    return problem_of(exit_code::missing, "this system does not say which Debian release it is", "/etc/os-release",
                      "the lab fetches its parts with apt from a Debian mirror: use Debian 12 or newer");
}

outcome<debian_source> machine_source(signal_gate const& gate) {
    auto const name = codename();
    if (!name)
        return std::unexpected(name.error());
    auto const targets = run_program(gate,
                                     {"apt-get", "indextargets", "--format",
                                      "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(SOURCESENTRY)", "Created-By: Packages"},
                                     {}, 60 * second);
    if (!targets)
        return std::unexpected(targets.error());
    for (auto const& line : split(*targets, '\n')) {
        auto const fields = split(line, '|');
        if (fields.size() >= 3 && fields[1] == *name && fields[2] == "main")
            return debian_source{fields[0], *name, fields.size() > 3 ? keyring_of(fields[3]) : std::string()};
    }
    return problem_of(exit_code::missing, "apt has no source for '" + *name + " main'", "/etc/apt",
                      "add the Debian mirror of your choice to apt's sources");
}
} // namespace

outcome<std::string> debian_fetch::apt(std::vector<std::string> argv, std::string cwd) const {
    child::options how;
    how.cwd = std::move(cwd);
    how.env = {"APT_CONFIG=" + folder_ + "/apt.conf", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive"};
    return run_program(*gate_, argv, how, 900 * second);
}

outcome<debian_fetch> debian_fetch::open(signal_gate const& gate, std::string folder, std::string_view architecture) {
    auto source = machine_source(gate);
    if (!source)
        return std::unexpected(source.error());
    debian_fetch out;
    out.gate_ = &gate;
    out.folder_ = std::move(folder);
    out.source_ = *source;
    for (char const* each : {"/lists/partial", "/cache/archives/partial", "/sources", "/debs"})
        if (auto made = tool::make_folders(out.folder_ + each); !made)
            return std::unexpected(made.error());
    auto const arch = std::string(architecture);
    std::string sources = "Types: deb\nURIs: " + source->uri + "\nSuites: " + source->codename + ' ' + source->codename
                   + "-backports\nComponents: main\nArchitectures: " + arch + '\n';
    if (!source->keyring.empty())
        sources += "Signed-By: " + source->keyring + '\n';
    std::string const conf = "Dir::Etc::sourcelist \"/dev/null\";\nDir::Etc::sourceparts \"" + out.folder_
                      + "/sources\";\nDir::State::Lists \"" + out.folder_ + "/lists\";\nDir::Cache \"" + out.folder_
                      + "/cache\";\nDir::Cache::pkgcache \"\";\nDir::Cache::srcpkgcache \"\";\nAPT::Architecture \"" + arch
                      + "\";\nAPT::Architectures \"" + arch
                      + "\";\nAPT::Sandbox::User \"root\";\nAcquire::Languages \"none\";\nAcquire::Retries \"3\";\n";
    for (auto const& [name, text] : {std::pair{"/sources/ktstr.sources", std::string_view(sources)}, std::pair{"/apt.conf", std::string_view(conf)}})
        if (auto const done = publish(out.folder_ + name, text); !done)
            return std::unexpected(tool::problem_from(done.error(), exit_code::harness, "cannot write apt's private state",
                                                      out.folder_ + name));
    if (auto done = out.apt({"apt-get", "update", "-q", "--error-on=any"}); !done) {
        done.error().remedy = "check the network and apt's mirror (" + source->uri + ")";
        return std::unexpected(done.error());
    }
    return out;
}

outcome<std::string> debian_fetch::newest(std::string const& package, std::string_view prefix) const {
    auto const table = apt({"apt-cache", "madison", package});
    if (!table)
        return std::unexpected(table.error());
    std::string best;
    for (auto const& line : split(*table, '\n')) {
        auto const fields = split(line, '|');
        if (fields.size() < 3)
            continue;
        auto const version = trim(fields[1]);
        if (version.starts_with(prefix) && (best.empty() || ::strverscmp(version.c_str(), best.c_str()) > 0))
            best = version;
    }
    if (best.empty())
        return problem_of(exit_code::missing, "the mirror has no package " + package + ' ' + std::string(prefix), source_.uri);
    return best;
}

outcome<std::vector<std::string>> debian_fetch::names(std::string const& prefix) const {
    auto const table = apt({"apt-cache", "pkgnames", prefix});
    if (!table)
        return std::unexpected(table.error());
    return split(*table, '\n');
}

outcome<std::vector<std::string>> debian_fetch::missing_for(std::string const& package, std::string const& version) const {
    auto const plan = apt({"apt-get", "-s", "-q", "--no-install-recommends", "-o", "APT::Get::AutomaticRemove=false", "-t",
                           source_.codename + "-backports", "install", package + '=' + version});
    if (!plan)
        return std::unexpected(plan.error());
    std::vector<std::string> out;
    for (auto const& line : split(*plan, '\n')) {
        if (!line.starts_with("Inst "))
            continue;
        auto const words = split(line, ' ');
        auto const open = line.find('(');
        if (words.size() > 2 && open != std::string::npos)
            out.push_back(words[1] + '=' + line.substr(open + 1, line.find(' ', open) - open - 1));
    }
    return out;
}

outcome<> debian_fetch::unpack(std::vector<std::string> const& packages, std::string const& root) const {
    auto const debs = folder_ + "/debs";
    std::vector<std::string> argv{"apt-get", "-q", "download"};
    argv.insert(argv.end(), packages.begin(), packages.end());
    if (auto done = apt(argv, debs); !done)
        return std::unexpected(done.error());
    auto* const list = ::opendir(debs.c_str());
    if (list == nullptr)
        return problem_of(exit_code::harness, "cannot read the downloaded packages", debs);
    std::vector<std::string> files;
    while (auto const* const each = ::readdir(list))
        if (std::string_view(each->d_name).ends_with(".deb"))
            files.push_back(debs + '/' + each->d_name);
    ::closedir(list);
    for (auto const& each : files) {
        if (auto done = run_program(*gate_, {"dpkg-deb", "-x", each, root}, {}, 300 * second); !done)
            return std::unexpected(done.error());
        ::unlink(each.c_str());
    }
    return {};
}

} // namespace ktstr::lab
