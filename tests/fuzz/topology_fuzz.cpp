// SPDX-License-Identifier: Apache-2.0
/// \file
/// Texts about a machine's shape: the options of the command line and the files of sysfs.
#include "ktstr/topo/mismatch.hpp"
#include "ktstr/topo/presets.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace ktstr;
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    if (auto const shape = parse_topology(text); shape && parse_topology(to_text(*shape).view()).value() != *shape)
        std::abort();
    if (auto const list = parse_cpu_list(text); list && parse_cpu_list(to_text(*list)).value() != *list)
        std::abort();
    numa_layout layout;
    layout.memory = parse_node_memory(text).value_or(std::vector<bytes>());
    layout.distances = parse_distances(text).value_or(std::vector<std::uint8_t>());
    topology const two{2, 2, 1, 1};
    if (validate(two, layout))
        for (std::uint32_t node = 0; node < node_count(two, layout); ++node)
            if (distance(two, layout, node, node) != local_distance)
                std::abort();
    (void)detail::meminfo_total_kib(text);
    (void)detail::spaced_numbers(text);
    return 0;
}
