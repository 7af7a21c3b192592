// SPDX-License-Identifier: Apache-2.0
#include "ktstr/agent/agent.hpp"
#include "ktstr/agent/clone_into.hpp"
#include "ktstr/agent/crew.hpp"
#include "ktstr/agent/ending.hpp"
#include "ktstr/agent/faults.hpp"
#include "ktstr/agent/folder.hpp"
#include "ktstr/agent/worker.hpp"

#include "agent/host_end.hpp"
#include "suites/cgroup_tree_suite.hpp"

#include <doctest/doctest.h>

#include <memory>

using namespace ktstr;
using namespace ktstr::agent;

TEST_CASE("agent: only pid 1 of a guest may live this life, and only it may end the machine") {
    REQUIRE(::getpid() != 1);
    CHECK(agent_main() == agent_failure_code);
    leave_machine(leave_by::reboot);
    leave_machine(leave_by::power_off);
    CHECK(true); // still here
}

TEST_CASE("agent: hello tells the kernel's own words") {
    struct utsname names{};
    REQUIRE(::uname(&names) == 0);
    auto const h = agent::detail::make_hello(1, 2, 3);
    CHECK(h.release == names.release);
    CHECK(h.cpus_online >= 1);
    CHECK(h.memory_bytes > 0);
    CHECK(!h.command_line.ends_with('\n'));
    CHECK(h.start_ns == 1);
    CHECK(h.mounts_ns == 2);
    CHECK(h.modules_ns == 3);
    CHECK(h.guest_ns > 0);
}

TEST_CASE("folder: names come sorted; what is no folder is an error") {
    char path[] = "/tmp/ktstr-folder-XXXXXX";
    REQUIRE(::mkdtemp(path) != nullptr);
    std::string const base = path;
    for (auto const* const name : {"/20-b", "/10-a", "/9"})
        REQUIRE(unique_fd::open((base + name).c_str(), O_CREAT | O_WRONLY, 0600));
    CHECK(list_folder(path) == std::vector<std::string>{"10-a", "20-b", "9"});
    CHECK(list_folder((base + "/9").c_str()).error().where == "opendir");
    for (auto const* const name : {"/20-b", "/10-a", "/9"})
        ::unlink((base + name).c_str());
    ::rmdir(path);
}

TEST_CASE("worker: a unit is a fixed amount of work; a stop that came first leaves clean books") {
    std::uint64_t a = 1, b = 1;
    spin_unit(a);
    spin_unit(b);
    CHECK(a == b);
    CHECK(a != 1);
    auto board = std::make_unique<cpu_board>();
    auto slot = std::make_unique<worker_slot>();
    std::atomic<bool> const stop{true};
    run_worker(work_type::spin, *slot, *board, stop, 1);
    CHECK(slot->state == worker_state::done);
    CHECK(slot->units == 0);
    CHECK(slot->start_ns > 0);
}

TEST_CASE("crew: workers that were never let go die with it") {
    plan p;
    p.cgroups = {{.name = "a", .workers = 2}};
    no_cgroups groups;
    pid_t pid = 0;
    {
        crew workers;
        REQUIRE(workers.spawn(p, groups, [] {}));
        pid = workers.members()[0].pid;
        CHECK(::kill(pid, 0) == 0);
        CHECK(!workers.any_running());
        CHECK(!workers.all_reaped());
    }
    CHECK(::kill(pid, 0) == -1);
}

TEST_CASE("clone_into: what is no cgroup is refused, and nobody is born") {
    auto const folder = unique_fd::open("/tmp", O_RDONLY | O_DIRECTORY);
    REQUIRE(folder);
    auto const born = fork_into(folder->get());
    REQUIRE(!born);
    CHECK(born.error().where == "clone3");
}

TEST_CASE("crew: a folder that is no cgroup leads back to fork and move") {
    struct plain_folder : no_cgroups {
        int moves = 0;
        unique_fd open(std::string_view) noexcept {
            return unique_fd(::open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        }
        result<> move(std::string_view, pid_t) noexcept {
            ++moves;
            return {};
        }
    } groups;
    plan p;
    p.cgroups = {{.name = "a", .workers = 2}};
    crew workers;
    REQUIRE(workers.spawn(p, groups, [] {}));
    CHECK(groups.moves == 2);
}

TEST_CASE("faults: a worker sent out of its cpuset is seen outside") {
    if (::sysconf(_SC_NPROCESSORS_ONLN) < 2)
        return;
    session guest;
    fake::host_end host(guest);
    no_cgroups groups;
    plan p;
    p.topology = make_topology_plan(topology{1, 1, 2, 1});
    p.cgroups = {{.name = "a", .cpus = {0}, .workers = 1}};
    p.duration_ns = 300'000'000;
    p.fault = {fault_kind::leave_cpuset, 0, 0, 0};
    REQUIRE(run_scenario(p, guest, groups));
    auto const reports = host.all<wire::worker_report>();
    REQUIRE(reports.size() == 1);
    REQUIRE(!reports[0].cpus_used.empty());
    CHECK((reports[0].cpus_used[0] & 2) != 0);
}

namespace {
struct folder_tree {
    char path[32] = "/tmp/ktstr-tree-XXXXXX";
    std::unique_ptr<cgroup_manager> manager;
    folder_tree() {
        REQUIRE(::mkdtemp(path) != nullptr);
        manager = std::make_unique<cgroup_manager>(path);
    }
    ~folder_tree() {
        manager.reset();
        CHECK(::rmdir(path) == 0); // it left nothing behind
    }
    cgroup_manager& tree() { return *manager; }
};
struct null_tree {
    no_cgroups none;
    no_cgroups& tree() { return none; }
};
} // namespace
TEST_CASE_TEMPLATE_INVOKE(cgroup_tree_suite, folder_tree, null_tree);
