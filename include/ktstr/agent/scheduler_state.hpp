// SPDX-License-Identifier: Apache-2.0
/// \file
/// Which scheduler runs, as the kernel says it.
#pragma once

#include "ktstr/sys/io.hpp"
#include "ktstr/wire/messages.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <unistd.h>

namespace ktstr::agent {

/// Reads the sched_ext folder `base` (normally /sys/kernel/sched_ext); all empty when the kernel has no sched_ext.
[[nodiscard]] inline wire::scheduler_state read_scheduler_state(wire::state_moment when,
                                                                std::string_view base = "/sys/kernel/sched_ext") {
    wire::scheduler_state out;
    out.when = when;
    std::string const folder(base);
    out.ext_supported = ::access(folder.c_str(), F_OK) == 0;
    auto const text = [&](char const* file) {
        auto content = read_file((folder + "/" + file).c_str(), 4096);
        if (!content)
            return std::string{};
        while (!content->empty() && content->back() == '\n')
            content->pop_back();
        return std::move(*content);
    };
    auto const number = [&](char const* file) {
        std::uint64_t value = 0;
        for (char const c : text(file)) {
            if (c < '0' || c > '9')
                break;
            value = value * 10 + static_cast<std::uint64_t>(c - '0');
        }
        return value;
    };
    out.state = text("state");
    out.ops = text("root/ops");
    out.enable_seq = number("enable_seq");
    out.rejected = number("nr_rejected");
    return out;
}

} // namespace ktstr::agent
