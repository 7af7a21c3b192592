// SPDX-License-Identifier: Apache-2.0
// Any text as a kernel log, whole and record by record.
#include "ktstr/agent/kmsg.hpp"
#include "ktstr/agent/schedstat.hpp"
#include "ktstr/scenario/kernel_log.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    auto const found = ktstr::scan_kernel_log(text);
    for (std::size_t i = 0; i < ktstr::log_events; ++i)
        if ((found.count[i] == 0) != found.first[i].empty() || found.first[i].size() > 240)
            std::abort();
    std::string out;
    ktstr::agent::append_kmsg_record(text, out);
    if (out.empty() || out.back() != '\n')
        std::abort();
    (void)ktstr::agent::parse_schedstat(text);
    (void)ktstr::agent::parse_wait_sum(text);
    return 0;
}
