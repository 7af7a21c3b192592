// SPDX-License-Identifier: Apache-2.0
/// \file
/// What the engine knows about one job and one stream of bytes; shared by its two source files only.
#pragma once

#include "ktstr-lab/engine.hpp"
#include "ktstr-lab/guest.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace ktstr::lab {

/// Bytes the lab may send on one stream before it hears a credit frame.
inline constexpr std::uint64_t output_window = 256U << 10;

/// Bytes between one channel of the lab and descriptors here.
struct engine::relay {
    unique_fd in, out, err;
    std::vector<std::byte> out_queue, err_queue;
    std::uint64_t in_credit = guest::input_window;
    std::uint64_t out_owed = 0, err_owed = 0; ///< written here, credit not given back yet
    bool out_ended = false, broken = false, open = false;
};

struct engine::job {
    job_spec spec;
    done_function done;
    relay io;
    enum class phase { putting, running, fetching, over } now = phase::putting;
    std::size_t puts_left = 0, out_index = 0;
    std::unique_ptr<out_writer> writer;
    job_result answer;
    bool ended_by_us = false, killed = false, waits_to_fetch = false;
    std::int64_t kill_at = 0, give_up_at = 0;
};

} // namespace ktstr::lab
