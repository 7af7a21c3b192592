// SPDX-License-Identifier: Apache-2.0
#include "ktstr-run/doctor_report.hpp"

#include <algorithm>
#include <cerrno>
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <string>

using namespace ktstr;
using namespace ktstr::tool;

namespace {
doctor_facts good() {
    doctor_facts f;
    f.kvm.access = kvm_access::opened;
    f.kvm.api_version = 12;
    f.kvm.capabilities = {{"KVM_CAP_IRQCHIP", true, 1}};
    f.kvm.loop = f.kvm.exits = f.kvm.xsave = f.kvm.cmpxchg16b = f.kvm.watchpoint = {stub_outcome::works, 0};
    f.kvm.loop_ps = 350;
    f.kvm.exit_ns = 1500;
    f.host.memory = {bytes{8 * GiB}, bytes{4 * GiB}, bytes{2 * MiB}, 0, 0};
    f.host.transparent_huge = "madvise";
    f.host.cgroup = {"/sys/fs/cgroup", "/a", "cpu memory", true};
    f.host.open_files = {1024, 4096};
    f.host.locked_memory = {8 * MiB, limit_facts::unlimited};
    f.host.realtime_priority = {10, 10};
    f.host.cpus = 4;
    f.host.cache_folder = "/home/u/.cache/ktstr";
    f.host.cache_free = bytes{50 * GiB};
    f.programs = {{"apt-get", "/usr/bin/apt-get", false, "fetching"}};
    f.lab_program = "/usr/bin/ktstr-lab";
    f.lab_fetched = true;
    f.user = "u";
    f.kvm_group = "kvm";
    return f;
}
doctor_check const& find(doctor_report const& r, std::string_view id) {
    auto const at = std::ranges::find(r.checks, id, &doctor_check::id);
    REQUIRE(at != r.checks.end());
    return *at;
}
} // namespace

TEST_CASE("doctor: a good machine has nothing to complain about") {
    auto const r = make_doctor_report(good());
    CHECK(r.verdict.starts_with("native"));
    CHECK(r.automatic == machine_kind::host);
    CHECK(r.can_boot);
    for (auto const& c : r.checks) {
        CHECK_MESSAGE(c.status == check_status::good, c.what);
        CHECK_MESSAGE(c.remedy.empty(), c.remedy);
    }
    auto const text = doctor_text(good(), r, false);
    CHECK(text.find("BAD") == std::string::npos);
    CHECK(text.find('\033') == std::string::npos);
    CHECK(doctor_text(good(), r, true).find('\033') != std::string::npos);
}

TEST_CASE("doctor: an emulated machine names what fails, once with what to do, and takes the lab") {
    auto f = good();
    f.kvm.loop_ps = 1'500'000;
    f.kvm.xsave = {stub_outcome::not_offered, 0};
    f.kvm.host_uses_xsave = true;
    f.kvm.cmpxchg16b = {stub_outcome::internal_error, 1};
    auto r = make_doctor_report(f);
    CHECK(r.verdict.starts_with("emulated"));
    CHECK(r.automatic == machine_kind::lab);
    CHECK(r.can_boot);
    CHECK(find(r, "kvm").status == check_status::good);
    CHECK(find(r, "kvm.kernel_mode").what.find("1500 ns") != std::string::npos);
    CHECK(find(r, "kvm.cmpxchg16b").what.find("suberror 1") != std::string::npos);
    CHECK(find(r, "kvm.cmpxchg16b").remedy.find("lab") != std::string::npos);
    CHECK(find(r, "kvm.xsave").remedy.empty());
    f.lab_program.clear();
    r = make_doctor_report(f);
    CHECK_FALSE(r.can_boot);
    CHECK(find(r, "lab").status == check_status::bad);
    CHECK(doctor_text(f, r, false).find("no guest can run here") != std::string::npos);
}

TEST_CASE("doctor: watchpoints that are taken and never fire are a note, and not part of the verdict") {
    auto f = good();
    CHECK(find(make_doctor_report(f), "kvm.watchpoint").what.ends_with("fire"));
    f.kvm.watchpoint = {stub_outcome::wrong_result, 0};
    auto r = make_doctor_report(f);
    CHECK(r.verdict.starts_with("native"));
    CHECK(find(r, "kvm.watchpoint").status == check_status::note);
    CHECK(find(r, "kvm.watchpoint").what.find("never fire") != std::string::npos);
    CHECK(!find(r, "kvm.watchpoint").remedy.empty());
    auto const json = nlohmann::json::parse(doctor_json(f, r));
    CHECK(json["kvm"]["stubs"]["watchpoint"]["outcome"] == "wrong result");
    f.kvm.watchpoint = {stub_outcome::timed_out, 0};
    CHECK(find(make_doctor_report(f), "kvm.watchpoint").what.find("timed out") != std::string::npos);
    f.kvm.watchpoint = {};
    r = make_doctor_report(f);
    CHECK(std::ranges::find(r.checks, std::string_view("kvm.watchpoint"), &doctor_check::id) == r.checks.end());
}

TEST_CASE("doctor: no permission names user and group; no device says what to load") {
    auto f = good();
    f.kvm = {};
    f.kvm.access = kvm_access::no_permission;
    f.kvm.os_errno = EACCES;
    auto r = make_doctor_report(f);
    CHECK(r.verdict == "no permission: u may not open /dev/kvm");
    CHECK(find(r, "kvm").remedy.starts_with("sudo adduser u kvm"));
    f.kvm_group.clear(); // A device that no group may open.
    CHECK(find(make_doctor_report(f), "kvm").remedy.starts_with("sudo chown root:kvm /dev/kvm"));
    f.kvm.access = kvm_access::no_device;
    f.kvm.os_errno = ENOENT;
    r = make_doctor_report(f);
    CHECK(r.verdict.starts_with("absent"));
    CHECK(find(r, "kvm").remedy.find("kvm_amd") != std::string::npos);
    f.kvm.access = kvm_access::wrong_api;
    f.kvm.os_errno = 0;
    f.kvm.api_version = 11;
    CHECK(find(make_doctor_report(f), "kvm").what.find("API version 11") != std::string::npos);
}

TEST_CASE("doctor: each thing that is too little is bad and has a remedy") {
    auto const check = [](char const* id, check_status expected, void (*change)(doctor_facts&)) {
        auto f = good();
        change(f);
        auto const r = make_doctor_report(f);
        auto const& c = find(r, id);
        CHECK_MESSAGE(c.status == expected, id);
        CHECK_MESSAGE(!c.remedy.empty(), id);
    };
    check("memory", check_status::bad, [](doctor_facts& f) { f.host.memory.available = bytes{100 * MiB}; });
    check("hugepages", check_status::note, [](doctor_facts& f) { f.host.transparent_huge = "never"; });
    check("cgroup", check_status::note, [](doctor_facts& f) { f.host.cgroup = {}; });
    check("limits.nofile", check_status::bad, [](doctor_facts& f) { f.host.open_files = {256, 256}; });
    check("limits.rtprio", check_status::note, [](doctor_facts& f) { f.host.realtime_priority = {0, 0}; });
    check("disk", check_status::bad, [](doctor_facts& f) { f.host.cache_free = bytes{1 * GiB}; });
    check("disk", check_status::note, [](doctor_facts& f) { f.host.cache_free.reset(); });
    check("lab", check_status::note, [](doctor_facts& f) { f.lab_fetched = false; });
    check("lab", check_status::note, [](doctor_facts& f) { f.lab_program.clear(); });
    check("program", check_status::bad, [](doctor_facts& f) { f.programs[0].path.clear(); });
    check("program", check_status::note, [](doctor_facts& f) { f.programs[0].path.clear(); f.programs[0].optional = true; });
}

TEST_CASE("doctor --json: what the schema promises, and absent is not 0") {
    auto f = good();
    f.host.cache_folder = "/bad\xff/utf8";
    auto const j = nlohmann::json::parse(doctor_json(f, make_doctor_report(f)));
    CHECK(j.at("schema") == "ktstr.doctor/1.1");
    CHECK(j.at("verdict") == "native");
    CHECK(j.at("reason") == "none");
    CHECK(j.at("machine_auto") == "host");
    CHECK(j.at("can_boot") == true);
    CHECK(j.at("kvm").at("api_version") == 12);
    CHECK(j.at("kvm").at("kernel_loop_ps") == 350);
    CHECK(j.at("kvm").at("stubs").at("xsave").at("outcome") == "works");
    CHECK(j.at("kvm").at("capabilities").at(0).at("name") == "KVM_CAP_IRQCHIP");
    CHECK(j.at("host").at("limits").at("memlock_bytes").at("soft") == 8 * MiB);
    CHECK_FALSE(j.at("host").at("limits").at("memlock_bytes").contains("hard"));
    CHECK(j.at("checks").size() >= 10);
    f.kvm = {};
    f.kvm.os_errno = ENOENT;
    auto const k = nlohmann::json::parse(doctor_json(f, make_doctor_report(f)));
    CHECK(k.at("verdict") == "absent");
    CHECK(k.at("kvm").at("errno") == ENOENT);
    CHECK_FALSE(k.at("kvm").contains("kernel_loop_ps"));
    CHECK_FALSE(k.at("kvm").contains("stubs"));
}
