// SPDX-License-Identifier: Apache-2.0
// The agent's readers of kernel texts.
#include "ktstr/agent/cgroup.hpp"
#include "ktstr/agent/kmsg.hpp"
#include "ktstr/agent/modules.hpp"
#include "ktstr/agent/mounts.hpp"
#include "ktstr/agent/schedstat.hpp"
#include "ktstr/sys/publish.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

using namespace ktstr;
using namespace ktstr::agent;

namespace {
std::string record(std::string_view text) {
    std::string out;
    append_kmsg_record(text, out);
    return out;
}
} // namespace

TEST_CASE("kmsg: records become lines with their time and without their keys") {
    CHECK(record("6,339,5140900,-;NET: Registered PF_INET\n SUBSYSTEM=net\n") ==
          "[    5.140900] NET: Registered PF_INET\n");
    CHECK(record("6,0,0,-;Linux version 7.3\n") == "[    0.000000] Linux version 7.3\n");
    CHECK(record("4,1,123456789,c;x;y") == "[  123.456789] x;y\n");
    CHECK(record("no record") == "no record\n");
    CHECK(record(";text\n") == "[    0.000000] text\n");
    CHECK(record("") == "\n");
}

TEST_CASE("schedstat: three numbers or nothing") {
    auto const s = parse_schedstat("123 456 7\n");
    REQUIRE(s);
    CHECK(s->cpu_ns == 123);
    CHECK(s->run_delay_ns == 456);
    CHECK(s->slices == 7);
    CHECK(!parse_schedstat("123 456\n"));
    CHECK(!parse_schedstat(""));
    CHECK(!parse_schedstat("1 x 2"));
    CHECK(!parse_schedstat("99999999999999999999999 1 1"));
}

TEST_CASE("schedstat: wait_sum in milliseconds and nanoseconds") {
    CHECK(parse_wait_sum("a : 1\nwait_sum                                     :            12.345678\nb : 2\n") ==
          12'345'678);
    CHECK(parse_wait_sum("se.statistics.wait_sum : 0.000001\n") == 1);
    CHECK(!parse_wait_sum("nothing here"));
    CHECK(!parse_wait_sum("wait_sum"));
    CHECK(!parse_wait_sum("wait_sum : 5\n"));
    CHECK(!parse_wait_sum("wait_sum : 99999999999999999.1\n"));
}

TEST_CASE("cgroup: CPU lists as the kernel writes them, values of its statistics") {
    CHECK(cpu_list_text(std::vector<std::uint32_t>{}) == "");
    CHECK(cpu_list_text(std::vector<std::uint32_t>{5}) == "5");
    CHECK(cpu_list_text(std::vector<std::uint32_t>{0, 1, 2, 4, 6, 7}) == "0-2,4,6-7");
    CHECK(stat_value("usage_usec 12\nuser_usec 5\nthrottled_usec 9", "throttled_usec") == 9);
    CHECK(stat_value("oom 1\noom_kill 2\noom_group_kill 3\n", "oom_kill") == 2);
    CHECK(stat_value("usage_usec 12", "usage") == 0);
    CHECK(stat_value("", "x") == 0);
}

TEST_CASE("cgroup: errors name the file and what it was about; what was made goes away") {
    char folder[] = "/tmp/ktstr-cgroup-XXXXXX";
    REQUIRE(::mkdtemp(folder) != nullptr);
    {
        cgroup_manager groups(folder);
        REQUIRE(groups.make("a"));
        REQUIRE(groups.make("a")); // taken over
        auto const moved = groups.move("a", 1);
        CHECK(moved.error().where == "cgroup.procs");
        CHECK(moved.error().code == errc::not_found);
        CHECK(groups.detail() == std::string(folder) + "/a/cgroup.procs");
        CHECK(groups.set("a", "cpuset.cpus", "0", "cpuset.cpus").error().where == "cpuset.cpus");
        CHECK(groups.make("no/such").error().where == "cgroup.mkdir");
        CHECK(groups.get("a", "cpu.stat").empty());
        CHECK(groups.remove("never made"));
    }
    CHECK(::rmdir(folder) == 0);
    static_assert(explain_cgroup_tree<cgroup_manager>());
}

TEST_CASE("modules: compressed files are said to be so; a missing folder is no modules") {
    CHECK(module_flags("10-virtio_mmio.ko.xz") == module_init_compressed_file);
    CHECK(module_flags("10-virtio_mmio.ko.zst") == module_init_compressed_file);
    CHECK(module_flags("10-virtio_mmio.ko") == 0);
    std::string detail;
    CHECK(load_modules("/no/such/folder", detail) == 0U);
    char folder[] = "/tmp/ktstr-modules-XXXXXX";
    REQUIRE(::mkdtemp(folder) != nullptr);
    auto const file = std::string(folder) + "/20-broken.ko";
    REQUIRE(publish(file, std::string_view("not a module")));
    auto const loaded = load_modules(folder, detail);
    REQUIRE(!loaded);
    CHECK(loaded.error().where == "finit_module");
    CHECK(detail == "20-broken.ko");
    ::unlink(file.c_str());
    ::rmdir(folder);
}

TEST_CASE("mounts: the required ones come before what lies in them") {
    for (std::size_t i = 0; i < mount_table.size(); ++i)
        for (std::size_t j = i + 1; j < mount_table.size(); ++j)
            CHECK(!std::string_view(mount_table[i].path).starts_with(std::string(mount_table[j].path) + "/"));
}
