// SPDX-License-Identifier: Apache-2.0
#include "ktstr/run/kick.hpp"

#include "ktstr/hv/exit_policy.hpp"
#include "ktstr/hv/scripted.hpp"
#include "ktstr/sys/thread.hpp"

#include <atomic>
#include <cerrno>
#include <doctest/doctest.h>
#include <poll.h>

using namespace ktstr;

TEST_CASE("kick: gets a vCPU that spins out of its guest") {
    REQUIRE(install_kick_handler());
    REQUIRE(install_kick_handler()); // again is harmless
    scripted_vcpu cpu;
    std::atomic<int> status{-1};
    auto started = thread::start("vcpu", [&] {
        accept_kicks();
        stop_on_all policy;
        status = static_cast<int>(cpu.run(policy).status);
    });
    REQUIRE(started);
    kick(cpu, started->handle());
    started->join();
    CHECK(status == static_cast<int>(run_status::interrupted));
}

TEST_CASE("kick: the signal interrupts a blocking system call, and only where kicks are accepted") {
    REQUIRE(install_kick_handler());
    scripted_vcpu cpu;
    std::atomic<int> number{0};
    std::atomic<bool> ready{false};
    auto started = thread::start("vcpu", [&] {
        accept_kicks();
        ready = true;
        number = ::poll(nullptr, 0, 20'000) == 0 ? 0 : errno;
    });
    REQUIRE(started);
    while (!ready) {
    }
    // The thread may not have reached poll() yet: repeat, with pauses as the supervisor makes them. Without a pause the
    // thread would do nothing but take signals, which the kernel queues.
    while (number == 0) {
        kick(cpu, started->handle());
        ::poll(nullptr, 0, 1);
    }
    started->join();
    CHECK(number == EINTR);

    sigset_t inherited;
    ::sigemptyset(&inherited);
    auto other = thread::start("other", [&] { ::pthread_sigmask(SIG_SETMASK, nullptr, &inherited); });
    REQUIRE(other);
    other->join();
    CHECK(::sigismember(&inherited, kick_signal()) == 1);
}
