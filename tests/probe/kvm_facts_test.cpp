// SPDX-License-Identifier: Apache-2.0
#include "ktstr/probe/kvm_facts.hpp"

#include <doctest/doctest.h>

using namespace ktstr;

namespace {
kvm_facts good() {
    kvm_facts f;
    f.access = kvm_access::opened;
    f.api_version = 12;
    f.capabilities = {{"KVM_CAP_IRQCHIP", true, 1}, {"KVM_CAP_TSC_CONTROL", false, 0}};
    f.loop = f.exits = f.xsave = f.cmpxchg16b = {stub_outcome::works, 0};
    f.host_uses_xsave = f.host_has_cmpxchg16b = true;
    f.loop_ps = 350;
    f.exit_ns = 1500;
    return f;
}
kvm_judgement with(void (*change)(kvm_facts&)) {
    auto f = good();
    change(f);
    return judge_kvm(f);
}
} // namespace

TEST_CASE("judge_kvm: hardware that does everything is native") {
    CHECK(judge_kvm(good()) == kvm_judgement{kvm_verdict::native, kvm_reason::none});
    CHECK(with([](kvm_facts& f) { f.loop_ps = 60'000; }).verdict == kvm_verdict::native); // Nested under QEMU's TCG.
}

TEST_CASE("judge_kvm: a device that cannot be opened") {
    CHECK(judge_kvm({}) == kvm_judgement{kvm_verdict::absent, kvm_reason::no_device});
    CHECK(with([](kvm_facts& f) { f.access = kvm_access::no_permission; }) == kvm_judgement{kvm_verdict::forbidden, kvm_reason::no_permission});
    CHECK(with([](kvm_facts& f) { f.access = kvm_access::wrong_api; }) == kvm_judgement{kvm_verdict::absent, kvm_reason::wrong_api});
    CHECK(with([](kvm_facts& f) { f.access = kvm_access::failed; }) == kvm_judgement{kvm_verdict::absent, kvm_reason::open_failed});
}

TEST_CASE("judge_kvm: a required capability counts, another does not") {
    CHECK(with([](kvm_facts& f) { f.capabilities[0].value = 0; }) == kvm_judgement{kvm_verdict::absent, kvm_reason::missing_capability});
    CHECK(with([](kvm_facts& f) { f.capabilities[0].value = -1; }).reason == kvm_reason::missing_capability);
}

TEST_CASE("judge_kvm: what no guest can do, and what an emulator cannot") {
    for (auto const o : {stub_outcome::not_run, stub_outcome::internal_error, stub_outcome::shutdown, stub_outcome::other_exit,
                         stub_outcome::timed_out, stub_outcome::failed, stub_outcome::wrong_result, stub_outcome::not_offered}) {
        auto f = good();
        f.loop.outcome = o;
        CHECK(judge_kvm(f) == kvm_judgement{kvm_verdict::absent, kvm_reason::cannot_run});
        f = good();
        f.exits.outcome = o;
        CHECK(judge_kvm(f).reason == kvm_reason::cannot_run);
        f = good();
        f.xsave.outcome = o;
        CHECK(judge_kvm(f) == kvm_judgement{kvm_verdict::emulated, kvm_reason::no_xsave});
        f = good();
        f.cmpxchg16b.outcome = o;
        CHECK(judge_kvm(f) == kvm_judgement{kvm_verdict::emulated, kvm_reason::no_cmpxchg16b});
    }
    CHECK(with([](kvm_facts& f) { f.loop_ps = 1'500'000; }) == kvm_judgement{kvm_verdict::emulated, kvm_reason::slow_kernel_mode});
}

TEST_CASE("judge_kvm: an instruction that the host lacks too is nobody's fault") {
    CHECK(with([](kvm_facts& f) { f.xsave.outcome = stub_outcome::not_offered; f.host_uses_xsave = false; }).verdict == kvm_verdict::native);
    CHECK(with([](kvm_facts& f) { f.cmpxchg16b.outcome = stub_outcome::not_offered; f.host_has_cmpxchg16b = false; }).verdict == kvm_verdict::native);
}

TEST_CASE("choose: a wish is a wish; auto takes the host only where Linux runs") {
    for (auto const v : {kvm_verdict::native, kvm_verdict::emulated, kvm_verdict::forbidden, kvm_verdict::absent}) {
        CHECK(choose(machine_wish::host, v) == machine_kind::host);
        CHECK(choose(machine_wish::lab, v) == machine_kind::lab);
        CHECK(choose(machine_wish::automatic, v) == (v == kvm_verdict::native ? machine_kind::host : machine_kind::lab));
        CHECK(word(v) != "unknown");
    }
}

TEST_CASE("words: every value has its own") {
    for (int i = 0; i <= static_cast<int>(stub_outcome::failed); ++i)
        CHECK(word(static_cast<stub_outcome>(i)) != "unknown");
    for (int i = 0; i <= static_cast<int>(kvm_reason::slow_kernel_mode); ++i)
        CHECK(word(static_cast<kvm_reason>(i)) != "unknown");
    CHECK(word(static_cast<kvm_reason>(99)) == "unknown");
}
