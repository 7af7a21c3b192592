// SPDX-License-Identifier: Apache-2.0
#include "ktstr/probe/host_resources.hpp"

#include <doctest/doctest.h>

using namespace ktstr;

TEST_CASE("parse_meminfo: takes its lines and leaves the rest") {
    auto const m = parse_meminfo("MemTotal:       24552652 kB\nMemFree: 1 kB\nMemAvailable:   100 kB\n"
                                 "HugePages_Total:       7\nHugePages_Free:        3\nHugepagesize:       2048 kB\n");
    CHECK(m.total == bytes{24552652 * KiB});
    CHECK(m.available == bytes{100 * KiB});
    CHECK(m.huge_total == 7);
    CHECK(m.huge_free == 3);
    CHECK(m.huge_page == bytes{2 * MiB});
    CHECK(parse_meminfo("").total == bytes{0});
    CHECK(parse_meminfo("MemTotal\nMemTotal:\nMemTotal:   \nMemTotal: x kB\n:::").total == bytes{0});
    CHECK(parse_meminfo("MemTotal: 99999999999999999999999 kB").total == bytes{0});
    CHECK(parse_meminfo("MemTotal: 18446744073709551615 kB").total == bytes{UINT64_MAX});
}

TEST_CASE("bracketed: the chosen word") {
    CHECK(bracketed("always [madvise] never\n") == "madvise");
    CHECK(bracketed("none") == "");
    CHECK(bracketed("] [") == "");
    CHECK(bracketed("") == "");
}

TEST_CASE("cgroup texts: where it is mounted and where we are") {
    CHECK(find_cgroup2("proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n") == "/sys/fs/cgroup");
    CHECK(find_cgroup2("cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\n") == "");
    CHECK(find_cgroup2("x y") == "");
    CHECK(own_cgroup2("1:cpu:/old\n0::/user.slice/a\n") == "/user.slice/a");
    CHECK_FALSE(own_cgroup2("1:cpu:/old\n"));
}

TEST_CASE("read_host_resources: this machine has memory, CPUs and a disk") {
    auto const r = read_host_resources("/tmp/there/is/no/such/folder");
    CHECK(r.memory.total.raw > 64 * MiB);
    CHECK(r.cpus > 0);
    CHECK(r.open_files.soft > 0);
    REQUIRE(r.cache_free);
    CHECK(r.cache_free->raw > 0);
}

TEST_CASE("find_program: the first folder that has it; relative folders do not count") {
    CHECK(find_program("sh", "/nonexistent:/bin:/usr/bin") == "/bin/sh");
    CHECK(find_program("sh", "bin::") == "");
    CHECK(find_program("no-such-program-here", "/bin:/usr/bin") == "");
}
