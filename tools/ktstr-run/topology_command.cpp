// SPDX-License-Identifier: Apache-2.0
/// \file
/// `ktstr-run topology show PRESET|SPEC [--json]` and `ktstr-run presets [--json]`.
#include "ktstr-run/boot_options.hpp"
#include "ktstr-run/command.hpp"
#include "ktstr-run/topology_drawing.hpp"
#include "ktstr/topo/presets.hpp"
#include "support/near_miss.hpp"
#include "support/terminal.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace ktstr::tool {

namespace {

using json = nlohmann::ordered_json;

json matrix(topology const& t, numa_layout const& layout) {
    auto rows = json::array();
    for (std::uint32_t from = 0; from < node_count(t, layout); ++from) {
        auto row = json::array();
        for (std::uint32_t to = 0; to < node_count(t, layout); ++to)
            row.push_back(distance(t, layout, from, to));
        rows.push_back(std::move(row));
    }
    return rows;
}

json shape_of(topology const& t) {
    return {{"topology", to_text(t).view()}, {"nodes", t.nodes},     {"llcs", t.llcs},
            {"cores_per_llc", t.cores},      {"threads", t.threads}, {"cpus", cpus(t)}};
}

json document(std::string_view name, topology const& t, numa_layout const& layout) {
    json out = {{"schema", "ktstr.topology/1.0"}, {"name", name}};
    out.update(shape_of(t));
    auto nodes = json::array();
    for (std::uint32_t node = 0; node < node_count(t, layout); ++node) {
        auto const first = node * cpus_per_node(t);
        json one = {{"node", node}, {"cpus", json::array()}};
        for (std::uint32_t cpu = first; node < t.nodes && cpu < first + cpus_per_node(t); ++cpu)
            one["cpus"].push_back(cpu);
        if (!layout.memory.empty())
            one["memory_bytes"] = layout.memory[node].raw;
        nodes.push_back(std::move(one));
    }
    out["node_list"] = std::move(nodes);
    out["distances"] = matrix(t, layout);
    auto places = json::array();
    for (std::uint32_t cpu = 0; cpu < cpus(t); ++cpu) {
        auto const at = place_of(t, cpu);
        places.push_back({{"cpu", cpu}, {"node", at.node}, {"llc", at.llc}, {"core", at.core}, {"thread", at.thread}});
    }
    out["cpu_list"] = std::move(places);
    return out;
}

} // namespace

outcome<exit_code> topology_command(invocation const& call) {
    constexpr std::array<std::string_view, 1> verbs{"show"};
    if (call.words.empty() || call.words[0] != "show")
        return problem_of(exit_code::bad_input,
                          call.words.empty() ? "'topology' needs to be told what to do"
                                             : fmt::format("'topology' cannot '{}'", call.words[0]),
                          "ktstr-run topology",
                          call.words.empty() ? "write: ktstr-run topology show 2n4l2c2t" : hint(call.words[0], verbs));
    if (call.words.size() != 2)
        return problem_of(exit_code::bad_input, fmt::format("'topology show' takes one preset or NnNlNcNt, not {}", call.words.size() - 1),
                          "ktstr-run topology show", "write: ktstr-run topology show 2n4l2c2t");
    auto const& name = call.words[1];
    auto const named = read_topology(name);
    if (!named) {
        auto what = named.error();
        what.where = "ktstr-run topology show";
        return std::unexpected(std::move(what));
    }
    if (call.has("json")) {
        std::puts(document(name, named->shape, named->layout).dump(2).c_str());
        return exit_code::pass;
    }
    drawing_style style;
    style.width = terminal_width(STDOUT_FILENO);
    style.unicode = locale_is_utf8(std::getenv("LC_ALL"), std::getenv("LC_CTYPE"), std::getenv("LANG"));
    style.coloured = use_colour(STDOUT_FILENO);
    std::fputs(draw_topology(name, named->shape, named->layout, style).c_str(), stdout);
    return exit_code::pass;
}

outcome<exit_code> presets_command(invocation const& call) {
    if (!call.words.empty())
        return problem_of(exit_code::bad_input, fmt::format("'presets' takes no '{}'", call.words[0]), "ktstr-run presets",
                          fmt::format("to draw one, write: ktstr-run topology show {}", call.words[0]));
    if (call.has("json")) {
        json out = {{"schema", "ktstr.presets/1.0"}, {"presets", json::array()}};
        for (auto const& each : presets()) {
            json one = {{"name", each.name}};
            one.update(shape_of(each.shape));
            if (!each.node_memory.empty())
                one["node_memory"] = each.node_memory;
            if (!each.distances.empty())
                one["distances"] = each.distances;
            one["about"] = each.about;
            out["presets"].push_back(std::move(one));
        }
        std::puts(out.dump(2).c_str());
        return exit_code::pass;
    }
    bool const coloured = use_colour(STDOUT_FILENO);
    std::size_t name_width = 4;
    for (auto const& each : presets())
        name_width = std::max(name_width, each.name.size());
    std::fputs(paint(fmt::format("{:<{}}  {:<10} {:>4}  {}", "name", name_width, "topology", "CPUs", "what for"), colour::bold, coloured).c_str(), stdout);
    std::fputc('\n', stdout);
    for (auto const& each : presets())
        std::fputs(fmt::format("{:<{}}  {:<10} {:>4}  {}\n", each.name, name_width, to_text(each.shape).view(), cpus(each.shape), each.about).c_str(), stdout);
    return exit_code::pass;
}

} // namespace ktstr::tool
