// SPDX-License-Identifier: Apache-2.0
#include "ktstr/topo/mismatch.hpp"
#include "ktstr/topo/presets.hpp"

#include "topo/fake_sysfs.hpp"

#include <doctest/doctest.h>
#include <functional>

using namespace ktstr;
using namespace ktstr::test;

namespace {
numa_layout three_nodes() {
    numa_layout out;
    out.memory = {bytes{GiB}, bytes{0}, bytes{512 * MiB}};
    return out;
}
} // namespace

TEST_CASE("compare: what is shown as declared has no difference, for every preset") {
    for (auto const& each : presets()) {
        CAPTURE(each.name);
        auto const layout = layout_of(each).value();
        auto sysfs = show(each.shape, layout);
        CHECK(compare(each.shape, layout, observe_topology(sysfs).value()).empty());
    }
}

TEST_CASE("compare: each planted difference is found, and only it") {
    topology const t{2, 4, 2, 2};
    auto const layout = three_nodes();
    struct row {
        char const* what;
        std::function<void(observed_topology&)> plant;
        std::vector<mismatch> expected;
    };
    std::vector<row> const rows{
        {"cpu offline", [](auto& seen) { seen.cpus.pop_back(); }, {{mismatch_kind::cpu_missing, 15, 0, 1, 0}}},
        {"cpu too many", [](auto& seen) { seen.cpus.push_back({.cpu = 16}); }, {{mismatch_kind::cpu_unexpected, 16, 0, 0, 1}}},
        {"siblings", [](auto& seen) { seen.cpus[2].siblings = cpu_list::range(2, 2); }, {{mismatch_kind::siblings, 2, 3, 2, 1}}},
        {"no siblings file", [](auto& seen) { seen.cpus[2].siblings.reset(); }, {{mismatch_kind::siblings, 2, 2, 2, 0}}},
        {"l1d", [](auto& seen) { seen.cpus[4].l1d = cpu_list::range(4, 7); }, {{mismatch_kind::l1d, 4, 6, 2, 4}}},
        {"l2", [](auto& seen) { seen.cpus[4].l2 = cpu_list::range(4, 7); }, {{mismatch_kind::l2, 4, 6, 2, 4}}},
        {"llc", [](auto& seen) { seen.cpus[9].l3 = cpu_list::range(8, 15); }, {{mismatch_kind::llc, 9, 12, 4, 8}}},
        {"package", [](auto& seen) { seen.cpus[9].package_cpus = cpu_list::range(0, 15); }, {{mismatch_kind::package, 9, 0, 8, 16}}},
        {"core id", [](auto& seen) { seen.cpus[3].core = seen.cpus[3].core.value() + 1; }, {{mismatch_kind::core_id, 3, 2, 1, 0}}},
        {"node offline", [](auto& seen) { seen.nodes.pop_back(); }, {{mismatch_kind::node_missing, 2, 0, 1, 0}}},
        {"node too many", [](auto& seen) { seen.nodes.push_back({.node = 3}); }, {{mismatch_kind::node_unexpected, 3, 0, 0, 1}}},
        {"node cpus", [](auto& seen) { seen.nodes[1].cpus = cpu_list::range(8, 14); }, {{mismatch_kind::node_cpus, 1, 15, 8, 7}}},
        {"memory gone", [](auto& seen) { seen.nodes[2].memory_kib = 0; }, {{mismatch_kind::node_memory, 2, 0, 524288, 0}}},
        {"memory too much", [](auto& seen) { seen.nodes[2].memory_kib = 524289; }, {{mismatch_kind::node_memory, 2, 0, 524288, 524289}}},
        {"memory out of nothing", [](auto& seen) { seen.nodes[1].memory_kib = 5; }, {{mismatch_kind::node_memory, 1, 0, 0, 5}}},
        {"distance", [](auto& seen) { seen.nodes[0].distances[2] = 30; }, {{mismatch_kind::distance, 0, 2, 20, 30}}},
        {"short distances", [](auto& seen) { seen.nodes[0].distances.pop_back(); }, {{mismatch_kind::distance, 0, 2, 20, 0}}},
    };
    for (auto const& each : rows) {
        CAPTURE(each.what);
        auto sysfs = show(t, layout);
        auto seen = observe_topology(sysfs).value();
        each.plant(seen);
        CHECK(compare(t, layout, seen) == each.expected);
        for (auto const& m : each.expected)
            CHECK(!to_text(m).starts_with("unknown"));
    }
}

TEST_CASE("compare: the same core id in two packages is right, in one package it is not") {
    topology const t{2, 2, 1, 1};
    auto sysfs = show(t);
    auto seen = observe_topology(sysfs).value();
    seen.cpus[0].core = 0;
    seen.cpus[1].core = 0;
    CHECK(compare(t, {}, seen).empty());
    seen.cpus[1].package = 0;
    CHECK(compare(t, {}, seen) == std::vector{mismatch{mismatch_kind::core_id, 1, 0, 0, 1}});
}

TEST_CASE("compare: one node needs no node files; several do") {
    auto sysfs = show({1, 1, 2, 1});
    auto seen = observe_topology(sysfs).value();
    seen.nodes.clear();
    CHECK(compare({1, 1, 2, 1}, {}, seen).empty());
    auto two = show({2, 2, 1, 1});
    auto seen_two = observe_topology(two).value();
    seen_two.nodes.clear();
    CHECK(compare({2, 2, 1, 1}, {}, seen_two).size() == 2);
}

TEST_CASE("to_text: a difference in words") {
    CHECK(to_text(mismatch{mismatch_kind::llc, 9, 12, 4, 8}) ==
          "cpu 9: sharing its last-level cache: declared 4 CPUs, seen 8; first difference at cpu 12");
    CHECK(to_text(mismatch{mismatch_kind::distance, 0, 2, 20, 30}) == "node 0 to node 2: declared distance 20, seen 30");
    CHECK(to_text(mismatch{mismatch_kind::core_id, 3, 2, 1, 0}) ==
          "cpu 3: declared one core with cpu 2, their core ids say another");
    CHECK(to_text(mismatch{static_cast<mismatch_kind>(99), 1, 0, 0, 0}) == "unknown difference 99");
}
