// SPDX-License-Identifier: Apache-2.0
/// \file
/// What a running kernel says about its topology in sysfs, and how it differs from what was declared.
///
/// Reading goes through a `FileReader`, so that it can be tested without a guest: anything with
/// `result<std::string> read(char const* path)`. Sources: linux Documentation/admin-guide/cputopology.rst,
/// Documentation/ABI/stable/sysfs-devices-node, Documentation/ABI/testing/sysfs-devices-system-cpu.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/topo/cpu_list.hpp"

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ktstr {

/// One CPU as sysfs shows it. A list that has no file is absent.
struct observed_cpu {
    std::uint32_t cpu = 0;
    std::optional<std::uint32_t> package{};
    std::optional<std::uint32_t> core{};
    std::optional<cpu_list> siblings{};    ///< Threads of the same core.
    std::optional<cpu_list> package_cpus{};
    std::optional<cpu_list> l1d{};
    std::optional<cpu_list> l2{};
    std::optional<cpu_list> l3{};
};

/// One node as sysfs shows it.
struct observed_node {
    std::uint32_t node = 0;
    cpu_list cpus{};
    std::uint64_t memory_kib = 0;
    std::vector<std::uint32_t> distances{}; ///< To all nodes, in order of their numbers.
};

/// All CPUs that are online and all nodes that are online, each in order of their numbers.
struct observed_topology {
    std::vector<observed_cpu> cpus{};
    std::vector<observed_node> nodes{};
};

/// Gives whole files; see the head of this file.
template <class R>
concept FileReader = requires(R& reader, char const* path) {
    { reader.read(path) } -> std::same_as<result<std::string>>;
};

namespace detail {

/// A decimal number with an optional newline; nothing for another text.
[[nodiscard]] constexpr std::optional<std::uint32_t> sysfs_number(std::string_view text) noexcept {
    if (text.ends_with('\n'))
        text.remove_suffix(1);
    if (text.empty() || text.size() > 9)
        return std::nullopt;
    std::uint32_t out = 0;
    for (auto const c : text) {
        if (c < '0' || c > '9')
            return std::nullopt;
        out = out * 10 + static_cast<std::uint32_t>(c - '0');
    }
    return out;
}

/// Reads a file that may be missing; any other failure and content that makes no sense is an error.
template <FileReader R>
[[nodiscard]] result<std::optional<std::string>> optional_file(R& reader, std::string const& path) {
    auto text = reader.read(path.c_str());
    if (text)
        return std::optional<std::string>(std::move(*text));
    if (text.error().code == errc::not_found)
        return std::optional<std::string>();
    return std::unexpected(text.error());
}

template <FileReader R>
[[nodiscard]] result<std::optional<cpu_list>> optional_list(R& reader, std::string const& path) {
    KTSTR_TRY(auto const text, optional_file(reader, path));
    if (!text)
        return std::optional<cpu_list>();
    KTSTR_TRY(auto const list, parse_cpu_list(*text));
    return std::optional(list);
}

template <FileReader R>
[[nodiscard]] result<std::optional<std::uint32_t>> optional_number(R& reader, std::string const& path) {
    KTSTR_TRY(auto const text, optional_file(reader, path));
    return text ? sysfs_number(*text) : std::nullopt;
}

/// The total of a node's meminfo ("Node 0 MemTotal:   1013872 kB"); 0 when there is no such line.
[[nodiscard]] constexpr std::uint64_t meminfo_total_kib(std::string_view text) noexcept {
    constexpr std::string_view key = "MemTotal:";
    auto at = text.find(key);
    if (at == std::string_view::npos)
        return 0;
    at += key.size();
    while (at < text.size() && text[at] == ' ')
        ++at;
    std::uint64_t out = 0;
    for (unsigned digits = 0; at < text.size() && text[at] >= '0' && text[at] <= '9' && digits < 18; ++at, ++digits)
        out = out * 10 + static_cast<std::uint64_t>(text[at] - '0');
    return out;
}

/// Numbers separated by spaces, at most 1024 of them; stops at what is no number.
[[nodiscard]] inline std::vector<std::uint32_t> spaced_numbers(std::string_view text) {
    std::vector<std::uint32_t> out;
    while (!text.empty() && out.size() < cpu_list::capacity) {
        auto const end = text.find_first_of(" \n");
        auto const number = sysfs_number(text.substr(0, end));
        if (!number)
            break;
        out.push_back(*number);
        text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    }
    return out;
}

/// The caches of one CPU: every index until there is none.
template <FileReader R>
[[nodiscard]] result<> observe_caches(R& reader, std::string const& cpu_path, observed_cpu& out) {
    constexpr unsigned most_caches = 16;
    for (unsigned index = 0; index < most_caches; ++index) {
        auto const path = cpu_path + "/cache/index" + std::to_string(index);
        KTSTR_TRY(auto const level, optional_number(reader, path + "/level"));
        if (!level)
            break;
        KTSTR_TRY(auto const type, optional_file(reader, path + "/type"));
        KTSTR_TRY(auto const shared, optional_list(reader, path + "/shared_cpu_list"));
        if (*level == 1 && type && type->starts_with("Data"))
            out.l1d = shared;
        else if (*level == 2)
            out.l2 = shared;
        else if (*level == 3)
            out.l3 = shared;
    }
    return {};
}

} // namespace detail

/// Reads the topology below `root` ("/sys/devices/system" in a guest). A file that is missing leaves its value absent
/// (a kernel without NUMA has no nodes); errors are those of the reader and of lists that are no lists.
template <FileReader R>
[[nodiscard]] result<observed_topology> observe_topology(R& reader, std::string_view root = "/sys/devices/system") {
    observed_topology out;
    std::string const base(root);
    KTSTR_TRY(auto const online, detail::optional_list(reader, base + "/cpu/online"));
    if (!online)
        return fail(errc::not_found, "observed.cpu.online");
    for (auto cpu = online->next(); cpu; cpu = online->next(*cpu + 1)) {
        observed_cpu one;
        one.cpu = *cpu;
        auto const path = base + "/cpu/cpu" + std::to_string(*cpu);
        KTSTR_TRY(one.package, detail::optional_number(reader, path + "/topology/physical_package_id"));
        KTSTR_TRY(one.core, detail::optional_number(reader, path + "/topology/core_id"));
        KTSTR_TRY(one.siblings, detail::optional_list(reader, path + "/topology/thread_siblings_list"));
        KTSTR_TRY(one.package_cpus, detail::optional_list(reader, path + "/topology/core_siblings_list"));
        KTSTR_CHECK(detail::observe_caches(reader, path, one));
        out.cpus.push_back(one);
    }
    KTSTR_TRY(auto const nodes, detail::optional_list(reader, base + "/node/online"));
    for (auto node = nodes ? nodes->next() : std::nullopt; node; node = nodes->next(*node + 1)) {
        observed_node one;
        one.node = *node;
        auto const path = base + "/node/node" + std::to_string(*node);
        KTSTR_TRY(auto const cpus, detail::optional_list(reader, path + "/cpulist"));
        one.cpus = cpus.value_or(cpu_list());
        KTSTR_TRY(auto const memory, detail::optional_file(reader, path + "/meminfo"));
        one.memory_kib = memory ? detail::meminfo_total_kib(*memory) : 0;
        KTSTR_TRY(auto const distances, detail::optional_file(reader, path + "/distance"));
        one.distances = distances ? detail::spaced_numbers(*distances) : std::vector<std::uint32_t>();
        out.nodes.push_back(std::move(one));
    }
    return out;
}

} // namespace ktstr
