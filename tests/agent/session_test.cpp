// SPDX-License-Identifier: Apache-2.0
#include "ktstr/agent/crash_handler.hpp"
#include "ktstr/agent/scheduler_state.hpp"
#include "ktstr/agent/session.hpp"
#include "ktstr/agent/topology_check.hpp"
#include "ktstr/sys/publish.hpp"

#include "agent/host_end.hpp"

#include <cstdlib>
#include <map>
#include <sys/stat.h>
#include <sys/wait.h>

using namespace ktstr;
using namespace ktstr::agent;

TEST_CASE("session: messages are numbered, phases announced, output cut into pieces") {
    session guest;
    fake::host_end host(guest);
    guest.enter(wire::agent_phase::mounts);
    guest.log("line");
    guest.send_output(wire::stream::out, std::vector<std::byte>(output_chunk * 2 + 1));
    CHECK(guest.sequence() == 5);
    CHECK(host.messages().size() == 5);
    CHECK(host.counts().gaps == 0);
    CHECK(host.all<wire::phase>()[0].id == wire::agent_phase::mounts);
    CHECK(host.text(wire::stream::log) == "line\n");
}

TEST_CASE("session: what the host asks for; nonsense is ignored") {
    session guest;
    fake::host_end host(guest);
    host.send(wire::exit_message{1}); // not a host's message
    host.send(wire::window_size{10, 20});
    host.send(wire::stdin_data{false, {std::byte{1}}});
    host.send(wire::stdin_data{true, {std::byte{2}}});
    host.send(wire::go{});
    while (!guest.asked().go)
        guest.pump(1000);
    CHECK(guest.asked().rows == 10);
    CHECK(guest.asked().columns == 20);
    CHECK(guest.asked().resized);
    CHECK(guest.asked().input.size() == 2);
    CHECK(guest.asked().input_end);
    CHECK(!guest.asked().stop);
    CHECK(!guest.host_gone());
}

TEST_CASE("session: without a port everything is dropped; a gone host is noticed") {
    session none;
    none.enter(wire::agent_phase::mounts);
    CHECK(none.sequence() == 0);
    CHECK(!none.host_gone());
    session guest;
    fake::host_end host(guest);
    host.close();
    guest.pump(1000);
    CHECK(guest.host_gone());
}

TEST_CASE("session: a port that never comes is a timeout") {
    auto const found = find_port("ktstr.no-such-port", 1'000'000);
    CHECK(found.error().code == errc::timeout);
}

TEST_CASE("crash handler: the frame is what the codec would write, and the process ends by it") {
    auto const payload = agent::detail::crash_payload(11, 0xdead, 9);
    auto const message = wire::decode_value<wire::crash>(payload, "test");
    REQUIRE(message);
    CHECK(message->signal == 11);
    CHECK(message->address == 0xdead);
    CHECK(message->at == wire::agent_phase::spawn);

    session guest;
    fake::host_end host(guest);
    pid_t const pid = ::fork();
    if (pid == 0) {
        install_crash_handler(guest.fd(), false);
        note_crash_context(wire::agent_phase::run, 42);
        std::abort();
    }
    int status = 0;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 128 + SIGABRT);
    guest.attach(unique_fd());
    host.wait_for_end();
    auto const crashes = host.all<wire::crash>();
    REQUIRE(crashes.size() == 1);
    CHECK(crashes[0].signal == SIGABRT);
    CHECK(crashes[0].at == wire::agent_phase::run);
}

TEST_CASE("scheduler state: from files, empty where there are none") {
    char folder[] = "/tmp/ktstr-scx-XXXXXX";
    REQUIRE(::mkdtemp(folder) != nullptr);
    std::string const base = folder;
    ::mkdir((base + "/root").c_str(), 0755);
    REQUIRE(publish(base + "/state", std::string_view("enabled\n")));
    REQUIRE(publish(base + "/root/ops", std::string_view("simple_1.0\n")));
    REQUIRE(publish(base + "/enable_seq", std::string_view("12\n")));
    REQUIRE(publish(base + "/nr_rejected", std::string_view("3\n")));
    auto const s = read_scheduler_state(wire::state_moment::after_run, base);
    CHECK(s.ext_supported);
    CHECK(s.state == "enabled");
    CHECK(s.ops == "simple_1.0");
    CHECK(s.enable_seq == 12);
    CHECK(s.rejected == 3);
    CHECK(s.when == wire::state_moment::after_run);
    for (auto const* const f : {"/state", "/root/ops", "/enable_seq", "/nr_rejected"})
        ::unlink((base + f).c_str());
    ::rmdir((base + "/root").c_str());
    ::rmdir(folder);
    CHECK(!read_scheduler_state(wire::state_moment::before_run, base).ext_supported);
}

namespace {
/// A machine of two CPUs, two cores, one LLC.
struct two_cpus {
    std::map<std::string, std::string> files;
    two_cpus() {
        std::string const base = "/sys/devices/system/cpu/";
        files[base + "online"] = "0-1\n";
        for (std::string const cpu : {"0", "1"}) {
            auto const at = base + "cpu" + cpu;
            files[at + "/topology/physical_package_id"] = "0\n";
            files[at + "/topology/core_id"] = cpu + "\n";
            files[at + "/topology/thread_siblings_list"] = cpu + "\n";
            files[at + "/topology/core_siblings_list"] = "0-1\n";
            auto const cache = [&](char const* index, char const* level, char const* type, std::string const& shared) {
                files[at + "/cache/index" + index + "/level"] = level;
                files[at + "/cache/index" + index + "/type"] = type;
                files[at + "/cache/index" + index + "/shared_cpu_list"] = shared;
            };
            cache("0", "1\n", "Data\n", cpu + "\n");
            cache("1", "1\n", "Instruction\n", cpu + "\n");
            cache("2", "2\n", "Unified\n", cpu + "\n");
            cache("3", "3\n", "Unified\n", "0-1\n");
        }
    }
    result<std::string> read(char const* path) const {
        auto const at = files.find(path);
        if (at == files.end())
            return fail(errc::not_found, "fake");
        return at->second;
    }
};
} // namespace

TEST_CASE("topology check: matches, differs with a line each, is off when not wanted") {
    auto const same = check_topology(make_topology_plan(topology{1, 1, 2, 1}), two_cpus{});
    REQUIRE(same);
    CHECK(same->checked);
    CHECK(same->cpus_seen == 2);
    CHECK(same->mismatches.empty());
    auto const threads = check_topology(make_topology_plan(topology{1, 1, 1, 2}), two_cpus{});
    CHECK(!threads->mismatches.empty());
    auto const many = check_topology(make_topology_plan(topology{1, 2, 20, 1}), two_cpus{});
    CHECK(many->mismatches.size() == reported_mismatches + 1);
    CHECK(many->mismatches.back().starts_with("and "));
    auto const off = check_topology(make_topology_plan(topology{1, 1, 1, 1}, {}, false), two_cpus{});
    CHECK(!off->checked);
    two_cpus broken;
    broken.files["/sys/devices/system/cpu/online"] = "rubbish";
    CHECK(!check_topology(make_topology_plan(topology{1, 1, 2, 1}), broken));
}
