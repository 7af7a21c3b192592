// SPDX-License-Identifier: Apache-2.0
/// \file
/// Gets a Debian kernel with apt in a private state: apt checks every signature, the system's own apt stays untouched.
#include "ktstr-run/kernel_tool.hpp"

#include "ktstr/base/scope_exit.hpp"
#include "ktstr/store/apt_sources.hpp"
#include "ktstr/store/deb_control.hpp"
#include "ktstr/store/deb_kernels.hpp"
#include "ktstr/sys/io.hpp"
#include "ktstr/sys/publish.hpp"
#include "support/captured_child.hpp"
#include "support/near_miss.hpp"
#include "support/xdg.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <dirent.h>
#include <iterator>
#include <string>
#include <sys/file.h>
#include <unistd.h>
#include <vector>

namespace ktstr::tool {

namespace {

constexpr nanos update_limit = seconds(600);
constexpr nanos download_limit = seconds(3600);
constexpr nanos query_limit = seconds(120);

/// The machine's sources of packages, from where apt itself reads them.
std::vector<apt_source> machine_sources() {
    std::vector<apt_source> out;
    auto const add = [&](std::vector<apt_source> more) {
        out.insert(out.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    };
    std::string parts = "/etc/apt/sources.list.d";
    std::string list = "/etc/apt/sources.list";
    if (auto const told = run_captured({"apt-config", "shell", "P", "Dir::Etc::sourceparts/d", "L", "Dir::Etc::sourcelist/f"},
                                       "", query_limit);
        told && told->code == 0) {
        auto const value = [&](std::string_view name, std::string& to) {
            auto const at = told->output.find(std::string(name) + "='");
            if (at == std::string::npos)
                return;
            auto const from = at + name.size() + 2;
            to = told->output.substr(from, told->output.find('\'', from) - from);
        };
        value("P", parts);
        value("L", list);
    }
    if (auto const text = read_file(list.c_str()))
        add(parse_apt_list(*text));
    std::vector<std::string> names;
    if (auto* const folder = ::opendir(parts.c_str())) {
        while (auto const* const entry = ::readdir(folder))
            names.emplace_back(entry->d_name);
        ::closedir(folder);
    }
    std::sort(names.begin(), names.end());
    for (auto const& name : names) {
        auto const text = read_file((parts + '/' + name).c_str());
        if (text && name.ends_with(".list"))
            add(parse_apt_list(*text));
        else if (text && name.ends_with(".sources"))
            add(parse_apt_sources(*text));
    }
    return out;
}

/// A private apt below the user's cache folder. Only one process at a time uses it.
struct private_apt {
    std::string root;
    unique_fd lock;

    [[nodiscard]] std::vector<std::string> command(std::string const& program, std::vector<std::string> words) const {
        std::vector<std::string> out{program, "-c", root + "/apt.conf"};
        out.insert(out.end(), words.begin(), words.end());
        return out;
    }
};

outcome<private_apt> make_private_apt(std::string const& sources) {
    auto const cache = xdg_make(xdg_folder::cache);
    if (!cache)
        return std::unexpected(cache.error());
    private_apt out;
    out.root = *cache + "/apt";
    for (auto const* const part : {"/lists/partial", "/cache/archives/partial", "/sources.list.d"})
        if (auto const made = make_folders(out.root + part); !made)
            return std::unexpected(made.error());
    auto const broken = [&](error const& e) {
        return std::unexpected(problem_from(e, exit_code::harness, "cannot prepare a private apt", out.root,
                                            "make the folder writable for you and see whether the disk is full"));
    };
    auto lock = unique_fd::open((out.root + "/.ktstr-lock").c_str(), O_RDWR | O_CREAT, 0644);
    if (!lock)
        return broken(lock.error());
    out.lock = *std::move(lock);
    while (::flock(out.lock.get(), LOCK_EX) != 0)
        if (interrupt::number() != 0)
            return std::unexpected(interrupt::as_problem());
    // Settings of the machine (proxies above all) stay; what would touch the system is turned away from it.
    auto const conf = "#clear APT::Update::Pre-Invoke;\n"
                      "#clear APT::Update::Post-Invoke;\n"
                      "#clear APT::Update::Post-Invoke-Success;\n"
                      "#clear DPkg::Pre-Invoke;\n"
                      "#clear DPkg::Post-Invoke;\n"
                      "Dir::Etc::sourcelist \"/dev/null\";\n"
                      "Dir::Etc::sourceparts \"" + out.root + "/sources.list.d\";\n"
                      "Dir::State::Lists \"" + out.root + "/lists\";\n"
                      "Dir::State::status \"/dev/null\";\n"
                      "Dir::Cache \"" + out.root + "/cache\";\n"
                      "Dir::Cache::pkgcache \"pkgcache.bin\";\n"
                      "Dir::Cache::srcpkgcache \"srcpkgcache.bin\";\n"
                      "APT::Architecture \"amd64\";\n"
                      "#clear APT::Architectures;\n"
                      "APT::Architectures { \"amd64\"; };\n"
                      "APT::Sandbox::User \"root\";\n"
                      "#clear Acquire::Languages;\n"
                      "Acquire::Languages \"none\";\n"
                      "Acquire::GzipIndexes \"true\";\n"
                      "Acquire::IndexTargets::deb::DEP-11 { DefaultEnabled \"false\"; };\n"
                      "Acquire::IndexTargets::deb::DEP-11-icons-small { DefaultEnabled \"false\"; };\n"
                      "Acquire::IndexTargets::deb::DEP-11-icons { DefaultEnabled \"false\"; };\n"
                      "Acquire::IndexTargets::deb::DEP-11-icons-hidpi { DefaultEnabled \"false\"; };\n"
                      "Acquire::Retries \"2\";\n"
                      "Acquire::http::Timeout \"30\";\n";
    if (auto const written = publish(out.root + "/apt.conf", std::string_view(conf)); !written)
        return broken(written.error());
    if (auto const written = publish(out.root + "/sources.list.d/ktstr.sources", std::string_view(sources)); !written)
        return broken(written.error());
    return out;
}

/// The lines of apt's complaint that say something.
std::string complaint(std::string const& errors) {
    std::string out;
    std::size_t lines = 0;
    for (std::size_t at = 0; at < errors.size() && lines < 4;) {
        auto const end = errors.find('\n', at);
        auto const line = errors.substr(at, end == std::string::npos ? end : end - at);
        at = end == std::string::npos ? errors.size() : end + 1;
        if (line.starts_with("E:") || line.starts_with("W:") || line.starts_with("Err:")) {
            out.append(out.empty() ? "" : "; ").append(line);
            ++lines;
        }
    }
    return out;
}

/// The records of all kernel packages that the private apt knows.
outcome<std::vector<deb_stanza>> kernel_stanzas(private_apt const& apt) {
    auto const names = run_captured(apt.command("apt-cache", {"pkgnames", "linux-"}), "", query_limit);
    if (!names)
        return std::unexpected(names.error());
    std::vector<std::string> words{"show"};
    for (auto const name : split_words(names->output)) {
        std::string_view kind;
        std::string_view release;
        if (is_kernel_package(name, kind, release))
            words.emplace_back(name);
    }
    if (words.size() == 1)
        return std::vector<deb_stanza>{};
    auto const shown = run_captured(apt.command("apt-cache", std::move(words)), "", query_limit);
    if (!shown)
        return std::unexpected(shown.error());
    return parse_deb_control(shown->output);
}

std::vector<std::string> series_of(std::vector<deb_kernel> const& kernels) {
    std::vector<std::string> out;
    for (auto const& kernel : kernels)
        if (auto const series = std::string(kernel_series(kernel.version)); std::find(out.begin(), out.end(), series) == out.end())
            out.push_back(series);
    return out;
}

bool looks_like_series(std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789.") == std::string_view::npos;
}

/// Reads the package lists of `suites` and returns the kernels in them.
outcome<std::vector<deb_kernel>> read_archive(std::vector<std::string> const& suites, private_apt& apt, progress& show) {
    auto const machine = machine_sources();
    auto const sources = private_sources(machine, suites);
    if (sources.empty())
        return problem_of(exit_code::missing, "this machine's apt configuration names no Debian mirror",
                          "/etc/apt/sources.list.d", "add a kernel that you have: ktstr-run kernel add PATH");
    auto made = make_private_apt(sources);
    if (!made)
        return std::unexpected(made.error());
    apt = *std::move(made);
    show.phase("reading the package lists");
    auto const updated = run_captured(apt.command("apt-get", {"-q", "update"}), "", update_limit);
    if (!updated)
        return std::unexpected(updated.error());
    auto const stanzas = kernel_stanzas(apt);
    if (!stanzas)
        return std::unexpected(stanzas.error());
    auto const failed = updated->code != 0 || updated->errors.find("Failed to fetch") != std::string::npos;
    auto kernels = find_deb_kernels(*stanzas);
    if (failed && !kernels.empty())
        show.line("apt says: " + complaint(updated->errors));
    if (kernels.empty() && failed)
        return problem_of(exit_code::harness, "cannot read the package lists: " + complaint(updated->errors),
                          std::string(split_words(sources)[3]), // "Types: deb URIs: <mirror>"
                          "see whether the network is up and /etc/apt names a mirror that can be reached; "
                          "kernels that are in the store work without (ktstr-run kernel list)");
    return kernels;
}

outcome<> unpack(std::string const& folder, progress& show) {
    auto* const all = ::opendir(folder.c_str());
    std::vector<std::string> debs;
    while (auto const* const entry = all == nullptr ? nullptr : ::readdir(all))
        if (std::string_view(entry->d_name).ends_with(".deb"))
            debs.emplace_back(entry->d_name);
    if (all != nullptr)
        ::closedir(all);
    for (auto const& deb : debs) {
        show.phase("unpacking " + deb);
        auto const done = run_captured({"dpkg-deb", "-x", deb, "root"}, folder, download_limit);
        if (!done)
            return std::unexpected(done.error());
        if (done->code != 0)
            return problem_of(exit_code::harness, "cannot unpack a package: " + done->errors, folder + '/' + deb,
                              "see whether the disk is full");
    }
    return {};
}

/// Removes what fetches that were killed left in `folder`.
void clear_stale_work(std::string const& folder) {
    auto* const all = ::opendir(folder.c_str());
    while (auto const* const entry = all == nullptr ? nullptr : ::readdir(all)) {
        auto const name = std::string_view(entry->d_name);
        if (!name.starts_with("fetch-"))
            continue;
        auto const pid = std::atoi(entry->d_name + 6);
        if (pid > 0 && ::kill(pid, 0) != 0 && errno == ESRCH)
            static_cast<void>(remove_tree(folder + '/' + entry->d_name));
    }
    if (all != nullptr)
        ::closedir(all);
}

/// Where the image, .config and modules of `release` are in the unpacked packages.
outcome<kernel_import> locate_unpacked(std::string const& root, deb_kernel const& kernel) {
    kernel_import out;
    auto const exists = [](std::string const& path) { return ::access(path.c_str(), R_OK) == 0; };
    for (auto const& place : {root + "/boot/vmlinuz-" + kernel.release,
                              root + "/usr/lib/modules/" + kernel.release + "/vmlinuz",
                              root + "/lib/modules/" + kernel.release + "/vmlinuz"})
        if (out.image.empty() && exists(place))
            out.image = place;
    if (out.image.empty())
        return problem_of(exit_code::harness, "the package holds no kernel image where one is expected",
                          kernel.packages.front().name, "report this with the package's name and version");
    for (auto const& place : {root + "/boot/config-" + kernel.release,
                              root + "/usr/lib/modules/" + kernel.release + "/config"})
        if (out.config.empty() && exists(place))
            if (auto text = read_file(place.c_str()))
                out.config = *std::move(text);
    for (auto const& place : {root + "/usr/lib/modules/" + kernel.release, root + "/lib/modules/" + kernel.release})
        if (out.modules_root.empty() && exists(place))
            out.modules_root = place;
    return out;
}

} // namespace

outcome<std::string> fetch_debian_kernel(kernel_store const& store, std::string const& series, progress& show) {
    if (!series.empty() && !looks_like_series(series))
        return problem_of(exit_code::bad_input, "'" + series + "' is no kernel series", "debian:" + series,
                          "write it as debian:7.3");
    private_apt apt;
    auto kernels = read_archive(series.empty() ? std::vector<std::string>{"trixie-backports"} : suites_for_series(series),
                                apt, show);
    if (!kernels)
        return std::unexpected(kernels.error());
    auto const fits_series = [&](deb_kernel const& k) {
        auto const upstream = deb_version::split(k.version).upstream;
        return series.empty() || kernel_series(k.version) == series || upstream == series;
    };
    auto const chosen = std::find_if(kernels->begin(), kernels->end(), fits_series);
    if (chosen == kernels->end()) {
        auto const known = series_of(*kernels);
        std::vector<std::string_view> views(known.begin(), known.end());
        std::string all;
        for (auto const& one : known)
            all.append(all.empty() ? "" : ", ").append(one);
        auto const near = near_miss(series, views);
        return problem_of(exit_code::bad_input, "Debian has no kernel of the series " + series, "debian:" + series,
                          near.empty() ? "known are: " + all
                                       : "did you mean debian:" + std::string(near) + "? known are: " + all);
    }
    clear_stale_work(store.root() + "/..");
    auto const work = store.root() + "/../fetch-" + std::to_string(::getpid());
    scope_exit const clean([&]() noexcept { static_cast<void>(remove_tree(work)); });
    if (auto const made = make_folders(work + "/root"); !made)
        return std::unexpected(made.error());
    std::vector<std::string> words{"-q", "download"};
    std::string names;
    for (auto const& package : chosen->packages) {
        words.push_back(package.name + '=' + package.version);
        names.append(names.empty() ? "" : ", ").append(package.name);
    }
    show.phase("downloading " + names + " " + chosen->version);
    auto const got = run_captured(apt.command("apt-get", std::move(words)), work, download_limit);
    if (!got)
        return std::unexpected(got.error());
    if (got->code != 0)
        return problem_of(exit_code::harness, "cannot download " + names + ": " + complaint(got->errors), store.root(),
                          "see whether the network is up and the disk has 500 MB to spare, then try again");
    apt.lock.reset();
    if (auto const done = unpack(work, show); !done)
        return std::unexpected(done.error());
    auto request = locate_unpacked(work + "/root", *chosen);
    if (!request)
        return std::unexpected(request.error());
    auto const own_series = std::string(kernel_series(chosen->version));
    request->key_prefix = "debian";
    request->key_with_hash = false;
    request->release = chosen->release;
    request->version = chosen->version;
    request->source = "debian:" + own_series;
    request->aliases = {"debian", "debian:" + own_series,
                        "debian:" + std::string(deb_version::split(chosen->version).upstream)};
    if (!chosen->has_modules)
        request->notes.push_back("the archive no longer has the modules of this kernel (linux-modules-" + chosen->release + ")");
    return import_in_words(store, *std::move(request), chosen->packages.front().name, show);
}

} // namespace ktstr::tool
