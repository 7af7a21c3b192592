// SPDX-License-Identifier: Apache-2.0
/// \file
/// Makes, fills and removes cgroups (v2) below one folder.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/sys/fd.hpp"
#include "ktstr/sys/io.hpp"

#include <array>
#include <cerrno>
#include <concepts>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace ktstr::agent {

/// CPUs as the kernel writes lists: "0-3,6". `cpus` sorted and unique.
[[nodiscard]] inline std::string cpu_list_text(std::span<std::uint32_t const> cpus) {
    std::string out;
    for (std::size_t i = 0; i < cpus.size();) {
        auto j = i;
        while (j + 1 < cpus.size() && cpus[j + 1] == cpus[j] + 1)
            ++j;
        if (!out.empty())
            out.push_back(',');
        out += std::to_string(cpus[i]);
        if (j != i)
            out += "-" + std::to_string(cpus[j]);
        i = j + 1;
    }
    return out;
}

/// The number behind `key` in a "key value" file such as cpu.stat; 0 when it is not there.
[[nodiscard]] inline std::uint64_t stat_value(std::string_view text, std::string_view key) noexcept {
    for (std::size_t at = 0; at < text.size();) {
        auto line = text.substr(at, text.find('\n', at) - at);
        at += line.size() + 1;
        if (!line.starts_with(key) || line.size() <= key.size() || line[key.size()] != ' ')
            continue;
        std::uint64_t value = 0;
        for (char const c : line.substr(key.size() + 1)) {
            if (c < '0' || c > '9')
                break;
            value = value * 10 + static_cast<std::uint64_t>(c - '0');
        }
        return value;
    }
    return 0;
}

namespace detail {
template <class G>
concept cgroup_tree_makes = requires(G& g, std::string_view name) {
    { g.make(name) } -> std::same_as<result<>>;
    { g.remove(name) } -> std::same_as<result<>>;
    g.enable_controllers(name);
};
template <class G>
concept cgroup_tree_sets = requires(G& g, std::string_view name, char const* file, std::string_view value) {
    { g.set(name, file, value, value) } -> std::same_as<result<>>;
    { g.get(name, file) } -> std::same_as<std::string>;
};
template <class G>
concept cgroup_tree_moves = requires(G& g, std::string_view name, pid_t pid) {
    { g.move(name, pid) } -> std::same_as<result<>>;
    { g.open(name) } -> std::same_as<unique_fd>;
    { g.detail() } -> std::convertible_to<std::string>;
};
} // namespace detail

/// Where the executor keeps its cgroups. Contract: one thread; names are single folder names, "" the root; calls on a
/// cgroup come after its `make`; `detail()` says what the last failed call was about. Models: `cgroup_manager` (the
/// kernel's), `no_cgroups` (remembers nothing, moves nobody). Suite: tests/suites/cgroup_tree_suite.hpp.
template <class G>
concept CgroupTree = detail::cgroup_tree_makes<G> && detail::cgroup_tree_sets<G> && detail::cgroup_tree_moves<G>;

/// Fails to compile with one sentence per requirement that `G` misses.
template <class G>
consteval bool explain_cgroup_tree() {
    static_assert(detail::cgroup_tree_makes<G>,
                  "CgroupTree: missing `result<> make(name)`, `result<> remove(name)` or `enable_controllers(name)`");
    static_assert(detail::cgroup_tree_sets<G>,
                  "CgroupTree: missing `result<> set(name, file, value, where)` or `std::string get(name, file)`");
    static_assert(detail::cgroup_tree_moves<G>,
                  "CgroupTree: missing `result<> move(name, pid)`, `unique_fd open(name)` or `std::string detail()`");
    return CgroupTree<G>;
}

/// Workers stay where they are: for runs and tests without a cgroup v2 hierarchy.
struct no_cgroups {
    void enable_controllers(std::string_view) noexcept {}
    [[nodiscard]] result<> make(std::string_view) noexcept { return {}; }
    [[nodiscard]] result<> remove(std::string_view) noexcept { return {}; }
    [[nodiscard]] result<> set(std::string_view, char const*, std::string_view, std::string_view) noexcept {
        return {};
    }
    [[nodiscard]] result<> move(std::string_view, pid_t) noexcept { return {}; }
    [[nodiscard]] unique_fd open(std::string_view) noexcept { return {}; }
    [[nodiscard]] std::string get(std::string_view, char const*) const { return {}; }
    [[nodiscard]] std::string detail() const { return {}; }
};
static_assert(CgroupTree<no_cgroups>);

/// Owns the cgroups it made below `root` and removes them, emptied, when it goes.
///
/// One thread. Errors name the file as `where`; `detail()` holds the path of the call that failed last.
class cgroup_manager {
public:
    /// Will work below `root`, an existing cgroup2 folder in which processes may be made subgroups.
    explicit cgroup_manager(std::string root) : root_(std::move(root)) {}
    cgroup_manager(cgroup_manager const&) = delete;
    cgroup_manager& operator=(cgroup_manager const&) = delete;
    ~cgroup_manager() {
        for (auto at = made_.rbegin(); at != made_.rend(); ++at)
            ::rmdir(at->c_str());
    }

    [[nodiscard]] std::string const& detail() const noexcept { return detail_; }
    [[nodiscard]] std::string path(std::string_view name) const {
        return name.empty() ? root_ : root_ + "/" + std::string(name);
    }

    /// Turns on cpu, cpuset, memory and pids for the children of `name` ("" = root) as far as the kernel has them.
    void enable_controllers(std::string_view name) {
        for (auto const* const controller : {"+cpu", "+cpuset", "+memory", "+pids"})
            (void)write_control((path(name) + "/cgroup.subtree_control").c_str(), controller);
    }

    /// Makes cgroup `name`; one that is there already is taken over.
    [[nodiscard]] result<> make(std::string_view name) {
        detail_ = path(name);
        if (::mkdir(detail_.c_str(), 0755) != 0 && errno != EEXIST)
            return os_fail("cgroup.mkdir");
        made_.push_back(detail_);
        return {};
    }

    /// Writes one control file of `name`; `where` of the error is the one given.
    [[nodiscard]] result<> set(std::string_view name, char const* file, std::string_view value,
                               std::string_view where) {
        detail_ = path(name) + "/" + file;
        auto const done = write_control(detail_.c_str(), value);
        if (!done)
            return std::unexpected(error{done.error().code, done.error().os_errno, done.error().value, where});
        return {};
    }

    /// Moves process `pid` into `name`.
    [[nodiscard]] result<> move(std::string_view name, pid_t pid) {
        return set(name, "cgroup.procs", std::to_string(pid), "cgroup.procs");
    }

    /// The folder of `name`, for processes that are to be born in it; none when it cannot be opened.
    [[nodiscard]] unique_fd open(std::string_view name) const {
        auto fd = unique_fd::open(path(name).c_str(), O_RDONLY | O_DIRECTORY);
        return fd ? std::move(*fd) : unique_fd{};
    }

    /// The content of a control file of `name`; empty when it cannot be read.
    [[nodiscard]] std::string get(std::string_view name, char const* file) const {
        auto text = read_file((path(name) + "/" + file).c_str(), 65536);
        return text ? std::move(*text) : std::string{};
    }

    /// Removes `name`, which must be empty of processes. EBUSY (a process still on its way out) is tried again, at most
    /// `tries` times, a millisecond apart.
    [[nodiscard]] result<> remove(std::string_view name, int tries = 1000) {
        detail_ = path(name);
        while (::rmdir(detail_.c_str()) != 0) {
            if (errno == ENOENT)
                break;
            if (errno != EBUSY || --tries <= 0)
                return os_fail("cgroup.rmdir");
            ::usleep(1000);
        }
        std::erase(made_, detail_);
        return {};
    }

private:
    std::string root_;
    std::vector<std::string> made_;
    std::string detail_;
};

static_assert(CgroupTree<cgroup_manager>);

} // namespace ktstr::agent
