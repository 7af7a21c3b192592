// SPDX-License-Identifier: Apache-2.0
/// \file
/// What else a run depends on: memory, huge pages, cgroup v2, limits, disk. Pure readers of /proc and /sys texts, and one
/// function that feeds them.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/sys/io.hpp"

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace ktstr {

/// Lines of /proc/meminfo that matter here; 0 for a line that is missing.
struct memory_facts {
    bytes total{};
    bytes available{};
    bytes huge_page{}; ///< Size of the default huge page.
    std::uint64_t huge_total = 0; ///< Pages in the default pool.
    std::uint64_t huge_free = 0;
};

/// Reads /proc/meminfo's text. Lines that are not understood are passed over.
[[nodiscard]] inline memory_facts parse_meminfo(std::string_view text) noexcept {
    memory_facts out;
    while (!text.empty()) {
        auto const end = text.find('\n');
        auto const line = text.substr(0, end);
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
        auto const colon = line.find(':');
        if (colon == std::string_view::npos)
            continue;
        auto const name = line.substr(0, colon);
        auto const start = line.find_first_not_of(' ', colon + 1);
        if (start == std::string_view::npos)
            continue;
        std::uint64_t n = 0;
        auto const [stop, problem] = std::from_chars(line.data() + start, line.data() + line.size(), n);
        if (problem != std::errc{})
            continue;
        if (line.ends_with(" kB"))
            n = n > UINT64_MAX / KiB ? UINT64_MAX : n * KiB;
        if (name == "MemTotal")
            out.total = bytes{n};
        else if (name == "MemAvailable")
            out.available = bytes{n};
        else if (name == "Hugepagesize")
            out.huge_page = bytes{n};
        else if (name == "HugePages_Total")
            out.huge_total = n;
        else if (name == "HugePages_Free")
            out.huge_free = n;
    }
    return out;
}

/// The word in brackets of a /sys file like ".../transparent_hugepage/enabled"; empty when there is none.
[[nodiscard]] constexpr std::string_view bracketed(std::string_view text) noexcept {
    auto const open = text.find('[');
    auto const close = text.find(']', open == std::string_view::npos ? 0 : open);
    if (open == std::string_view::npos || close == std::string_view::npos)
        return {};
    return text.substr(open + 1, close - open - 1);
}

/// Where cgroup v2 is mounted according to /proc/self/mounts' text; empty when it is not.
[[nodiscard]] inline std::string find_cgroup2(std::string_view mounts) {
    while (!mounts.empty()) {
        auto const end = mounts.find('\n');
        auto line = mounts.substr(0, end);
        mounts = end == std::string_view::npos ? std::string_view{} : mounts.substr(end + 1);
        std::string_view field[3];
        for (auto& f : field) {
            auto const space = line.find(' ');
            f = line.substr(0, space);
            line = space == std::string_view::npos ? std::string_view{} : line.substr(space + 1);
        }
        if (field[2] == "cgroup2")
            return std::string(field[1]);
    }
    return {};
}

/// The path of this process in cgroup v2 according to /proc/self/cgroup's text ("0::/path"); nothing when it has none.
[[nodiscard]] inline std::optional<std::string> own_cgroup2(std::string_view text) {
    while (!text.empty()) {
        auto const end = text.find('\n');
        auto const line = text.substr(0, end);
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
        if (line.starts_with("0::/"))
            return std::string(line.substr(3));
    }
    return std::nullopt;
}

/// A resource limit of this process; `unlimited` stands for RLIM_INFINITY.
struct limit_facts {
    static constexpr std::uint64_t unlimited = UINT64_MAX;
    std::uint64_t soft = 0;
    std::uint64_t hard = 0;
};

/// cgroup v2 as this process sees it.
struct cgroup_facts {
    std::string mount; ///< Empty: not mounted.
    std::string own; ///< Our cgroup below the mount.
    std::string controllers; ///< Of the mount's root, space-separated.
    bool writable = false; ///< We may make cgroups below our own.
};

/// Everything beside /dev/kvm.
struct host_resources {
    memory_facts memory;
    std::string transparent_huge; ///< "always", "madvise", "never"; empty: the kernel has none.
    cgroup_facts cgroup;
    limit_facts open_files;
    limit_facts locked_memory; ///< Bytes.
    limit_facts realtime_priority;
    std::uint32_t cpus = 0; ///< Online.
    std::string cache_folder; ///< What `cache_free` was measured for.
    std::optional<bytes> cache_free; ///< For this user; nothing when the folder's file system did not answer.
};

namespace detail {
[[nodiscard]] inline limit_facts read_limit(int which) noexcept {
    rlimit r{};
    if (::getrlimit(static_cast<__rlimit_resource_t>(which), &r) != 0)
        return {};
    auto const value = [](rlim_t v) { return v == RLIM_INFINITY ? limit_facts::unlimited : std::uint64_t{v}; };
    return {value(r.rlim_cur), value(r.rlim_max)};
}
/// Free space for this user where `path` is, or where its nearest existing parent is.
[[nodiscard]] inline std::optional<bytes> free_space(std::string path) {
    for (;;) {
        struct statvfs st {};
        if (::statvfs(path.empty() ? "/" : path.c_str(), &st) == 0)
            return bytes{std::uint64_t{st.f_bavail} * st.f_frsize};
        auto const slash = path.rfind('/');
        if (errno != ENOENT || slash == std::string::npos)
            return std::nullopt;
        path.resize(slash);
    }
}
} // namespace detail

/// Reads all of it. What cannot be read keeps its empty value: each is an answer, none is an error.
[[nodiscard]] inline host_resources read_host_resources(std::string cache_folder) {
    host_resources out;
    if (auto const text = read_file("/proc/meminfo"))
        out.memory = parse_meminfo(*text);
    if (auto const text = read_file("/sys/kernel/mm/transparent_hugepage/enabled"))
        out.transparent_huge = bracketed(*text);
    if (auto const text = read_file("/proc/self/mounts"))
        out.cgroup.mount = find_cgroup2(*text);
    if (!out.cgroup.mount.empty()) {
        if (auto text = read_file((out.cgroup.mount + "/cgroup.controllers").c_str())) {
            while (!text->empty() && text->back() == '\n')
                text->pop_back();
            out.cgroup.controllers = *std::move(text);
        }
        if (auto const text = read_file("/proc/self/cgroup"))
            out.cgroup.own = own_cgroup2(*text).value_or("");
        out.cgroup.writable = ::access((out.cgroup.mount + out.cgroup.own).c_str(), W_OK) == 0;
    }
    out.open_files = detail::read_limit(RLIMIT_NOFILE);
    out.locked_memory = detail::read_limit(RLIMIT_MEMLOCK);
    out.realtime_priority = detail::read_limit(RLIMIT_RTPRIO);
    auto const cpus = ::sysconf(_SC_NPROCESSORS_ONLN);
    out.cpus = cpus > 0 ? static_cast<std::uint32_t>(cpus) : 0;
    out.cache_free = detail::free_space(cache_folder);
    out.cache_folder = std::move(cache_folder);
    return out;
}

/// The first executable called `name` in the colon-separated `path`; empty when there is none.
[[nodiscard]] inline std::string find_program(std::string_view name, std::string_view path) {
    while (!path.empty()) {
        auto const colon = path.find(':');
        auto const folder = path.substr(0, colon);
        path = colon == std::string_view::npos ? std::string_view{} : path.substr(colon + 1);
        if (folder.empty() || folder.front() != '/')
            continue;
        auto candidate = std::string(folder) + '/' + std::string(name);
        if (::access(candidate.c_str(), X_OK) == 0)
            return candidate;
    }
    return {};
}

} // namespace ktstr
