// SPDX-License-Identifier: Apache-2.0
#include "ktstr/run/death.hpp"

#include "ktstr/runner/presets.hpp"

#include <cstdlib>
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace ktstr;

namespace {

/// Dies in the middle of an exit.
struct dying_exits : exit_defaults<native_arch> {
    exit_verdict on_halt(halt_exit const&) noexcept { std::abort(); }
};
struct dying_traits : scripted_runner_traits {
    using exits = dying_exits;
};

/// In a child process: a machine of two vCPUs, of which the second dies. With our handlers the child ends by SIGABRT;
/// with `patient`, an embedder's handler of its own, the supervisor lives to report the cause through the exit code.
int child_with_a_death(bool patient) {
    if (patient) {
        struct sigaction action {};
        action.sa_handler = [](int) {
            death_watch::thread_died();
            for (;;)
                ::pause();
        };
        ::sigaction(SIGABRT, &action, nullptr);
    } else if (!install_death_handlers()) {
        return 98;
    }
    dying_exits exits;
    scripted_hypervisor::vm_options options;
    options.scripts = {{}, {{.kind = exit_kind::halt}}};
    auto r = basic_runner<dying_traits>::make({{{{gpa{0}, bytes{1 * MiB}}, 0, bytes{0}}}, {0, 1}}, options);
    if (!r || !r->start(exits))
        return 97;
    bool const ended = r->wait(seconds(20));
    ::_exit(ended && r->control().cause() == stop_cause::died ? 42 : 43);
}

int status_of_child(bool patient) {
    auto const pid = ::fork();
    REQUIRE(pid >= 0);
    if (pid == 0)
        ::_exit(child_with_a_death(patient));
    int status = 0;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    return status;
}

} // namespace

TEST_CASE("death_watch: the flags of the dying thread's machine flip, and only of that one") {
    run_control mine, other;
    auto wake = unique_fd::eventfd();
    REQUIRE(wake);
    death_watch::thread_died(); // without a machine: nothing happens
    {
        death_watch const watch(mine, wake->get());
        death_watch::thread_died();
    }
    CHECK(mine.cause() == stop_cause::died);
    CHECK_FALSE(other.stopping());
    std::uint64_t count = 0;
    CHECK(::read(wake->get(), &count, sizeof count) == sizeof count);
    CHECK(count == 1);
}

TEST_CASE("a vCPU thread that aborts stops its machine before the process ends") {
    int const patient = status_of_child(true);
    REQUIRE(WIFEXITED(patient));
    CHECK(WEXITSTATUS(patient) == 42);
    int const usual = status_of_child(false);
    // The supervisor may still get its word in; if it does not, the process ended with the signal as it should.
    CHECK((WIFSIGNALED(usual) ? WTERMSIG(usual) == SIGABRT : WEXITSTATUS(usual) == 42));
}
