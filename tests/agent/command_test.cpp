// SPDX-License-Identifier: Apache-2.0
#include "ktstr/agent/command.hpp"
#include "ktstr/agent/shell.hpp"

#include "agent/host_end.hpp"

using namespace ktstr;
using namespace ktstr::agent;

namespace {
plan command(std::vector<std::string> words) {
    plan p;
    p.mode = run_mode::exec;
    p.arguments = std::move(words);
    return p;
}
} // namespace

TEST_CASE("command: both streams and the exit code come back") {
    session guest;
    fake::host_end host(guest);
    CHECK(run_command(command({"sh", "-c", "echo out; echo err >&2; exit 7"}), guest) == 7);
    CHECK(host.text(wire::stream::out) == "out\n");
    CHECK(host.text(wire::stream::err) == "err\n");
}

TEST_CASE("command: a signal is 128 and its number") {
    session guest;
    fake::host_end host(guest);
    CHECK(run_command(command({"sh", "-c", "kill -9 $$"}), guest) == 137);
}

TEST_CASE("command: one that does not exist or cannot be run is an error with its name") {
    session guest;
    fake::host_end host(guest);
    auto const missing = run_command(command({"/no/such/command"}), guest);
    CHECK(missing.error().where == "exec");
    CHECK(missing.error().os_errno == ENOENT);
    CHECK(guest.detail == "/no/such/command");
    CHECK(run_command(command({"/etc/passwd"}), guest).error().os_errno == EACCES);
    auto nowhere = command({"true"});
    nowhere.folder = "/no/such/folder";
    CHECK(run_command(nowhere, guest).error().os_errno == ENOENT);
}

TEST_CASE("command: environment, folder, no input") {
    session guest;
    fake::host_end host(guest);
    auto p = command({"sh", "-c", "echo $KTSTR_GUEST $PATH $A; pwd; wc -c"});
    p.environment = {"A=b", "PATH=/usr/bin:/bin"};
    p.folder = "/tmp";
    CHECK(run_command(p, guest) == 0);
    CHECK(host.text(wire::stream::out) == "1 /usr/bin:/bin b\n/tmp\n0\n");
}

TEST_CASE("command: input arrives whole and ends") {
    session guest;
    fake::host_end host(guest);
    std::vector<std::byte> const megabyte(1 << 20, std::byte{'x'});
    std::thread sender([&] {
        for (int i = 0; i < 4; ++i)
            host.send(wire::stdin_data{i == 3, megabyte});
    });
    auto p = command({"wc", "-c"});
    p.forward_stdin = true;
    CHECK(run_command(p, guest) == 0);
    sender.join();
    CHECK(host.text(wire::stream::out) == "4194304\n");
}

TEST_CASE("command: much output passes whole") {
    session guest;
    fake::host_end host(guest);
    CHECK(run_command(command({"sh", "-c", "head -c 3000000 /dev/zero"}), guest) == 0);
    CHECK(host.text(wire::stream::out).size() == 3'000'000);
}

TEST_CASE("command: a stop request terminates it") {
    session guest;
    fake::host_end host(guest);
    host.send(wire::stop_request{});
    CHECK(run_command(command({"sleep", "600"}), guest) == 128 + SIGTERM);
}

TEST_CASE("command: one that ignores the request is killed after its grace") {
    session guest;
    // The request comes when the command has said that it will ignore it.
    fake::host_end host(guest, [](fake::host_end& self, wire::guest_message const& m) {
        if (std::holds_alternative<wire::output>(m))
            self.send(wire::stop_request{});
    });
    auto p = command({"sh", "-c", "trap '' TERM; echo deaf; while :; do :; done"});
    p.stop_grace_ns = 200'000'000;
    CHECK(run_command(p, guest) == 128 + SIGKILL);
}

TEST_CASE("command: a child left behind with the streams open does not hold the run up") {
    session guest;
    fake::host_end host(guest);
    auto const before = guest_now();
    CHECK(run_command(command({"sh", "-c", "sleep 5 & echo done"}), guest) == 0);
    CHECK(guest_now() - before < 4'000'000'000);
    CHECK(host.text(wire::stream::out) == "done\n");
}

TEST_CASE("shell: the plan's command or the first shell there is") {
    plan p;
    CHECK(!shell_command(p).empty());
    p.arguments = {"zsh"};
    CHECK(shell_command(p) == std::vector<std::string>{"zsh"});
}

TEST_CASE("shell: runs on a terminal of its own with the size asked for") {
    int const master = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    REQUIRE(master >= 0);
    unique_fd const keep(master);
    REQUIRE(::grantpt(master) == 0);
    REQUIRE(::unlockpt(master) == 0);
    std::string const name = ::ptsname(master);
    plan p;
    p.mode = run_mode::shell;
    p.rows = 33, p.columns = 77;
    p.arguments = {"sh", "-c", "tty; stty size; exit 4"};
    session guest;
    fake::host_end host(guest);
    CHECK(run_shell(p, guest, name.c_str()) == 4);
    char text[256];
    auto const n = ::read(master, text, sizeof text);
    REQUIRE(n > 0);
    CHECK(std::string(text, static_cast<std::size_t>(n)) == name + "\r\n33 77\r\n");
}
