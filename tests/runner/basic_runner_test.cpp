// SPDX-License-Identifier: Apache-2.0
#include "ktstr/runner/basic_runner.hpp"

#include "ktstr/runner/presets.hpp"

#include <cerrno>
#include <doctest/doctest.h>
#include <vector>

using namespace ktstr;

namespace {
machine_shape shape(std::size_t vcpus) {
    machine_shape out{{{{gpa{0}, bytes{1 * MiB}}, 0, bytes{0}}}, {}};
    for (std::size_t i = 0; i < vcpus; ++i)
        out.vcpu_ids.push_back(static_cast<std::uint32_t>(i));
    return out;
}
deadline within(nanos budget) { return {monotonic_clock{}.now(), budget, nanos{}}; }
} // namespace

TEST_CASE("basic_runner: the fatal exit of an AP stops all of eight vCPUs") {
    exit_defaults<native_arch> exits;
    scripted_hypervisor::vm_options options;
    options.scripts.resize(8);
    options.scripts[5] = {{.kind = exit_kind::halt}, {.kind = exit_kind::internal_error, .value = 1}};
    auto r = scripted_runner::make(shape(8), options);
    REQUIRE(r);
    auto const end = r->run(exits, within(seconds(20)));
    REQUIRE(end);
    CHECK(end->cause == stop_cause::fatal);
    CHECK(end->by == vcpu_index{5});
    CHECK(end->bsp == bsp_exit_reason::external_kill);
}

TEST_CASE("basic_runner: a failing KVM_RUN keeps its errno") {
    exit_defaults<native_arch> exits;
    scripted_hypervisor::vm_options options;
    options.scripts = {{{.os_errno = EINTR}, {.os_errno = ENOEXEC}}};
    auto r = scripted_runner::make(shape(1), options);
    REQUIRE(r);
    auto const end = r->run(exits, within(seconds(20)));
    REQUIRE(end);
    CHECK(end->bsp == bsp_exit_reason::run_error);
    CHECK(end->os_errno == ENOEXEC);
}

TEST_CASE("basic_runner: an expired deadline is a timeout; a machine without vCPUs or RAM is refused") {
    exit_defaults<native_arch> exits;
    auto r = scripted_runner::make(shape(2));
    REQUIRE(r);
    auto const end = r->run(exits, within(nanos{0}));
    REQUIRE(end);
    CHECK(end->bsp == bsp_exit_reason::timeout);
    CHECK(scripted_runner::make(shape(0)).error().where == "machine.vcpus");
    machine_shape no_ram{{}, {0}};
    CHECK(scripted_runner::make(no_ram).error().where == "mmap_memory.size");
}

TEST_CASE("basic_runner: request_stop from outside ends a machine that spins") {
    exit_defaults<native_arch> exits;
    auto r = scripted_runner::make(shape(3));
    REQUIRE(r);
    REQUIRE(r->start(exits));
    CHECK_FALSE(r->wait(nanos{0}));
    r->request_stop(stop_cause::signal);
    CHECK(r->wait(seconds(20)));
    auto const end = r->stop(stop_cause::supervisor);
    REQUIRE(end);
    CHECK(end->cause == stop_cause::signal);
}
