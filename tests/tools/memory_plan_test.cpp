// SPDX-License-Identifier: Apache-2.0
#include "ktstr-run/memory_plan.hpp"

#include <doctest/doctest.h>

using namespace ktstr;
using namespace ktstr::tool;

TEST_CASE("memory_plan: the rows add up and page structs cover the total") {
    memory_needs const n{bytes{40 * MiB}, bytes{4 * MiB}, bytes{12 * MiB}, 4, 2, 8};
    auto const b = break_down(n);
    CHECK(b.initramfs.raw == 16 * MiB);
    CHECK(b.per_cpu.raw == 12 * MiB);
    CHECK(b.page_structs.raw * page_struct_share >= b.total().raw - page_struct_share);
    CHECK(b.total().raw == b.kernel.raw + b.initramfs.raw + b.per_cpu.raw + b.per_node.raw + b.workers.raw +
                               b.reserve.raw + b.page_structs.raw);
}

TEST_CASE("memory_plan: auto is enough, in steps, and grows with CPUs, nodes and initramfs") {
    memory_needs n{bytes{40 * MiB}, bytes{4 * MiB}, bytes{12 * MiB}, 1, 1, 2};
    auto const small = memory_auto(n);
    CHECK(small.raw == memory_auto_least);
    CHECK(small.raw % (64 * MiB) == 0);
    n.cpus = 252;
    auto const wide = memory_auto(n);
    CHECK(wide.raw > small.raw);
    CHECK(wide.raw >= break_down(n).total().raw);
    n.cpus = 1;
    n.nodes = 8;
    CHECK(memory_auto(n).raw >= 8 * memory_auto_least_per_node);
    n.nodes = 1;
    n.unpacked = bytes{GiB};
    CHECK(memory_auto(n).raw > GiB);
}

TEST_CASE("memory_plan: the breakdown names every part") {
    auto const t = text(break_down({bytes{40 * MiB}, bytes{4 * MiB}, bytes{12 * MiB}, 1, 1, 2}));
    CHECK(
        t.starts_with("kernel 40M + initramfs (packed and unpacked) 16M + CPUs 3M + NUMA nodes 4M + workers 512K + "));
    CHECK(t.find(" = ") != std::string::npos);
}
