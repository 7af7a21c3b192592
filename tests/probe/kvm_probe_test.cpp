// SPDX-License-Identifier: Apache-2.0
#include "ktstr/probe/kvm_probe.hpp"

#include "ktstr/probe/machine_probe.hpp"

#include <array>
#include <cstdlib>
#include <doctest/doctest.h>
#include <string>
#include <unistd.h>

using namespace ktstr;

TEST_CASE("probe_kvm: the stubs run, and the verdict follows from them") {
    auto const facts = probe_kvm();
    REQUIRE(facts);
    REQUIRE(facts->access == kvm_access::opened);
    CHECK(facts->loop.outcome == stub_outcome::works);
    CHECK(facts->exits.outcome == stub_outcome::works);
    CHECK(facts->loop_ps > 0);
    CHECK(facts->exit_ns > 100);
    CHECK(facts->xsave.outcome != stub_outcome::not_run);
    CHECK(facts->xsave.outcome != stub_outcome::timed_out);
    CHECK(facts->cmpxchg16b.outcome != stub_outcome::not_run);
    CHECK(facts->cmpxchg16b.outcome != stub_outcome::failed);
    for (auto const& c : facts->capabilities) {
        if (c.required)
            CHECK_MESSAGE(c.value > 0, std::string(c.name));
    }
    auto const verdict = judge_kvm(*facts).verdict;
    CHECK((verdict == kvm_verdict::native || verdict == kvm_verdict::emulated));
    MESSAGE("loop " << facts->loop_ps << " ps, exit " << facts->exit_ns << " ns, " << std::string(word(verdict)));
}

TEST_CASE("probe_kvm: a stub that never ends is ended by the watchdog, one that faults by a shutdown") {
    auto host = kvm::hypervisor::open();
    REQUIRE(host);
    REQUIRE(install_kick_handler());
    auto const cpuid = kvm::supported_cpuid(host->fd());
    REQUIRE(cpuid);
    auto const run = [&](std::span<std::uint8_t const> code) {
        return detail::run_stub(*host, *cpuid, code, probe_stub::start(probe_stub::data), {.stub_limit = millis(50)},
                                [](detail::stub_machine&) { return true; });
    };
    auto const start = monotonic_clock{}.now();
    CHECK(run(std::array<std::uint8_t, 2>{0xeb, 0xfe}).outcome == stub_outcome::timed_out); // jmp .
    auto const took = monotonic_clock{}.now() - start;
    CHECK(took >= millis(50));
    CHECK(took < seconds(5));
    CHECK(run(std::array<std::uint8_t, 2>{0x0f, 0x0b}).outcome == stub_outcome::shutdown); // ud2, no IDT
    CHECK(run(std::array<std::uint8_t, 1>{0xf4}) == stub_result{stub_outcome::other_exit, KVM_EXIT_HLT});
    CHECK(run(std::array<std::uint8_t, 3>{0xe6, 0x80, 0xf4}).outcome == stub_outcome::works);
}

TEST_CASE("probe_machine: asked twice it runs guests once; a damaged memory is replaced") {
    std::string folder = "/tmp/ktstr-probe-test-XXXXXX";
    REQUIRE(::mkdtemp(folder.data()) != nullptr);
    auto const file = folder + "/probe";
    auto const first = probe_machine(file);
    REQUIRE(first);
    CHECK_FALSE(first->from_cache);
    auto const second = probe_machine(file);
    REQUIRE(second);
    CHECK(second->from_cache);
    CHECK(second->judgement == first->judgement);
    CHECK(second->loop_ps == first->loop_ps);
    REQUIRE(publish(file, std::string_view("garbage")));
    CHECK_FALSE(probe_machine(file)->from_cache);
    CHECK(probe_machine(file)->from_cache);
    CHECK_FALSE(probe_machine("")->from_cache);
    CHECK(probe_machine(folder + "/none/probe"));
    ::unlink(file.c_str());
    ::rmdir(folder.c_str());
}
