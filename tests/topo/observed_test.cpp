// SPDX-License-Identifier: Apache-2.0
#include "ktstr/topo/observed.hpp"

#include "topo/fake_sysfs.hpp"

#include <doctest/doctest.h>

using namespace ktstr;
using namespace ktstr::test;

TEST_CASE("observe_topology: every file ends up where it belongs") {
    numa_layout layout;
    layout.memory = {bytes{GiB}, bytes{0}, bytes{512 * MiB}};
    auto sysfs = show({2, 4, 2, 2}, layout);
    auto const seen = observe_topology(sysfs).value();
    REQUIRE(seen.cpus.size() == 16);
    auto const& cpu = seen.cpus[13];
    CHECK(cpu.cpu == 13);
    CHECK(cpu.package == 1U);
    CHECK(cpu.core == 192U);
    CHECK(to_text(*cpu.siblings) == "12-13");
    CHECK(to_text(*cpu.package_cpus) == "8-15");
    CHECK(to_text(*cpu.l1d) == "12-13");
    CHECK(to_text(*cpu.l2) == "12-13");
    CHECK(to_text(*cpu.l3) == "12-15");
    REQUIRE(seen.nodes.size() == 3);
    CHECK(to_text(seen.nodes[1].cpus) == "8-15");
    CHECK(seen.nodes[0].memory_kib == 1048576 - 1048576 / 50);
    CHECK(seen.nodes[1].memory_kib == 0);
    CHECK(seen.nodes[2].cpus.empty());
    CHECK(seen.nodes[2].distances == std::vector<std::uint32_t>{20, 20, 10});
}

TEST_CASE("observe_topology: CPUs that are offline are not looked at; files that are missing leave gaps") {
    auto sysfs = show({1, 1, 4, 1});
    sysfs.files[cpu_root + "online"] = "0,2-3\n";
    sysfs.files.erase(cpu_root + "cpu2/topology/core_id");
    sysfs.files.erase(cpu_root + "cpu2/cache/index3/level");
    sysfs.files.erase(node_root + "online");
    auto const seen = observe_topology(sysfs).value();
    REQUIRE(seen.cpus.size() == 3);
    CHECK(seen.cpus[1].cpu == 2);
    CHECK(!seen.cpus[1].core);
    CHECK(!seen.cpus[1].l3);
    CHECK(seen.cpus[1].l2);
    CHECK(seen.nodes.empty());
}

TEST_CASE("observe_topology: failures are told, not taken for absence") {
    fake_sysfs none;
    CHECK(observe_topology(none).error().where == "observed.cpu.online");
    auto sysfs = show({1, 1, 2, 1});
    sysfs.broken = cpu_root + "cpu1/topology/core_id";
    CHECK(observe_topology(sysfs).error().code == errc::permission);
    sysfs.broken.clear();
    sysfs.files[cpu_root + "cpu0/cache/index3/shared_cpu_list"] = "all of them\n";
    CHECK(observe_topology(sysfs).error().code == errc::bad_format);
}

TEST_CASE("observed: small decoders") {
    CHECK(detail::sysfs_number("12\n") == 12U);
    CHECK(!detail::sysfs_number("-1\n"));
    CHECK(!detail::sysfs_number(""));
    CHECK(!detail::sysfs_number("1234567890"));
    CHECK(detail::meminfo_total_kib("Node 0 MemTotal:        1013872 kB\n") == 1013872);
    CHECK(detail::meminfo_total_kib("Node 0 MemFree: 5 kB\n") == 0);
    CHECK(detail::meminfo_total_kib("MemTotal:") == 0);
    CHECK(detail::spaced_numbers("10 20 30\n") == std::vector<std::uint32_t>{10, 20, 30});
    CHECK(detail::spaced_numbers("10 x 30\n") == std::vector<std::uint32_t>{10});
    CHECK(detail::spaced_numbers("").empty());
}
