// SPDX-License-Identifier: Apache-2.0
/// \file
/// What every `CgroupTree` model promises beyond its signature. `Probe` owns a tree: `auto& tree()`.
#pragma once

#include "ktstr/agent/cgroup.hpp"

#include <doctest/doctest.h>
#include <type_traits>

TEST_CASE_TEMPLATE_DEFINE("CgroupTree: making, taking over, reading and removing", Probe, cgroup_tree_suite) {
    Probe probe;
    auto& tree = probe.tree();
    static_assert(ktstr::agent::explain_cgroup_tree<std::remove_reference_t<decltype(tree)>>());
    tree.enable_controllers(""); // controllers that are not there are passed over
    CHECK(tree.make("a"));
    CHECK(tree.make("a")); // one that is there is taken over
    CHECK(tree.make("b"));
    CHECK(tree.get("a", "no.such.file").empty());
    CHECK(tree.remove("a"));
    CHECK(tree.remove("a")); // one that is gone is no failure
    CHECK(tree.make("a"));
    CHECK(tree.remove("b"));
    CHECK(tree.remove("a"));
}
