// SPDX-License-Identifier: Apache-2.0
/// \file
/// What this machine is, for the fingerprint of a result.
#pragma once

#include "ktstr/sys/io.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <sys/utsname.h>
#include <unistd.h>

namespace ktstr::tool {

/// The host's part of a fingerprint; a field that could not be read is empty or 0.
struct host_facts {
    std::string cpu_model;
    std::string kernel_release;
    std::uint32_t cpus_online = 0;
    std::uint64_t memory_bytes = 0;
};

/// The value of the first line "key : value" of /proc/cpuinfo.
[[nodiscard]] inline std::string cpuinfo_value(std::string_view cpuinfo, std::string_view key) {
    while (!cpuinfo.empty()) {
        auto const end = cpuinfo.find('\n');
        auto const line = cpuinfo.substr(0, end);
        cpuinfo.remove_prefix(end == std::string_view::npos ? cpuinfo.size() : end + 1);
        if (!line.starts_with(key))
            continue;
        auto const colon = line.find(": ");
        if (colon != std::string_view::npos && line.substr(0, colon).find_last_not_of(" \t") + 1 == key.size())
            return std::string(line.substr(colon + 2));
    }
    return {};
}

/// Reads them.
[[nodiscard]] inline host_facts read_host_facts() {
    host_facts out;
    if (auto const text = read_file("/proc/cpuinfo"))
        out.cpu_model = cpuinfo_value(*text, "model name");
    utsname name{};
    if (::uname(&name) == 0)
        out.kernel_release = name.release;
    out.cpus_online = static_cast<std::uint32_t>(::sysconf(_SC_NPROCESSORS_ONLN));
    out.memory_bytes =
        static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    return out;
}

} // namespace ktstr::tool
