// SPDX-License-Identifier: Apache-2.0
#include "ktstr-run/report.hpp"

#include <doctest/doctest.h>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>

using namespace ktstr;
using namespace ktstr::tool;

namespace {

/// A run that got somewhere and was judged `kind`.
struct sample {
    boot_options boot;
    plan what;
    machine_outcome machine;
    run_report report;

    explicit sample(outcome_kind kind, bool strict = false) {
        boot.shape_name = "pair";
        boot.shape = {1, 1, 2, 1};
        what.scenario = "steady";
        what.seed = 42;
        what.cgroups = {{.name = "cg_0", .workers = 1}};
        wire::worker_report w;
        w.work_units = 100;
        w.cpus_used = {5};
        machine.evidence.workers = {w};
        machine.evidence.end = {end_kind::i8042_reset, 0};
        machine.boot = {{"first KVM_RUN", millis(40)}};
        machine.runs = 17;
        machine.wall = seconds(3);
        report.judged.outcome = kind;
        report.judged.line = "because \xff it is so";
        report.judged.checks = {{check_id::gap, check_state::pass, 2e6, 2e9, unit_kind::nanoseconds, "cg_0 worker 0"},
                                {check_id::starvation, check_state::fail, 3, 10, unit_kind::percent, ""}};
        report.judged.cgroups = {
            {.name = "cg_0", .workers = 1, .units = 100, .share_min = 99, .share_mean = 100, .share_max = 101}};
        report.judged.exits = {{"pio_out", 7, 900}, {"hlt", 0, 0}};
        report.judged.time.known = true;
        report.judged.boot_ns = 5'000'000'000;
        report.judged.phases = {{wire::agent_phase::go, 1, 2}};
        report.judged.vcpus = {{1, 2}};
        report.judged.guest_code = 0;
        report.judged.scheduler = "default";
        report.in.boot = &boot;
        report.in.what = &what;
        report.in.machine = &machine;
        report.in.kernel = {"debian-7.3.4", "7.3.4", "abcd"};
        report.in.host = {"a CPU", "6.1", 2, 1024};
        report.in.place = {machine_kind::host, "machine: host"};
        report.in.lab_host = "outer";
        report.in.memory = bytes{256 * MiB};
        report.in.folder = "/state/runs/1";
        report.in.started = "2026-01-01T00:00:00Z";
        report.in.strict = strict;
        report.status = status_of(report.judged, strict);
    }
    sample(sample const&) = delete;
};

void collect_keys(nlohmann::json const& from, std::set<std::string>& into) {
    if (from.is_object())
        for (auto const& [key, value] : from.items()) {
            into.insert(key);
            collect_keys(value, into);
        }
    if (from.is_array())
        for (auto const& each : from)
            collect_keys(each, into);
}

} // namespace

TEST_CASE("report: text, JSON and exit code say the same for every outcome, strict or not") {
    for (bool const strict : {false, true}) {
        for (auto const& row : status_table) {
            sample const s(row.kind, strict);
            auto const text = human_text(s.report, false);
            auto const json = nlohmann::json::parse(json_text(s.report));
            CAPTURE(row.word);
            CHECK(text.starts_with(text_of(s.report.status) + ": because"));
            CHECK(json["exit_code"] == static_cast<int>(code_of(s.report.status)));
            CHECK(json["status"] == row_of(s.report.status).json);
            CHECK(json["outcome"] == row.json);
        }
    }
}

TEST_CASE("report: verdict, deciding line, cgroups, then the artefacts") {
    sample const s(outcome_kind::pass);
    auto const text = human_text(s.report, false);
    auto const at = [&](char const* what) { return text.find(what); };
    CHECK(text.starts_with("PASS: because"));
    CHECK(at("seed 42") < at("cgroup "));
    CHECK(at("cgroup ") < at("checks"));
    CHECK(at("checks") < at("first KVM_RUN 40ms"));
    CHECK(at("first KVM_RUN 40ms") < at("17 KVM_RUN calls"));
    CHECK(at("17 KVM_RUN calls") < at("artefacts: /state/runs/1"));
    CHECK(at("artefacts: /state/runs/1") != std::string::npos);
    CHECK(text.find("pio_out") != std::string::npos);
    CHECK(text.find("hlt") == std::string::npos);
    CHECK(text.find('\033') == std::string::npos);
    CHECK(human_text(s.report, true).starts_with("\033[32mPASS\033[0m: "));
}

TEST_CASE("report: a run that never got to its workers shows no table of them") {
    sample s(outcome_kind::guest_panic);
    s.report.judged.cgroups[0].workers = 0;
    CHECK(human_text(s.report, false).find("share min") == std::string::npos);
}

TEST_CASE("report: the JSON is valid whatever the guest wrote, and absent is absent") {
    sample s(outcome_kind::fail);
    auto json = nlohmann::json::parse(json_text(s.report));
    CHECK(json["reason"] == "because ? it is so");
    CHECK(json["workers"][0]["cpus_used"] == nlohmann::json{0, 2});
    CHECK(json["checks"][0]["bound_ns"] == 2e9);
    CHECK_FALSE(json["checks"][1].contains("subject"));
    s.report.in.kernel.build_id.clear();
    s.report.judged.boot_ns = 0;
    s.report.judged.time.known = false;
    json = nlohmann::json::parse(json_text(s.report));
    CHECK_FALSE(json["fingerprint"]["kernel"].contains("build_id"));
    CHECK_FALSE(json["boot"].contains("to_agent_ns"));
    CHECK_FALSE(json.contains("delivery"));
}

TEST_CASE("report: a run that came to nothing has a document too") {
    plan what;
    what.seed = 7;
    auto const json =
        nlohmann::json::parse(json_text(problem{exit_code::missing, "no KVM", "/dev/kvm", ""}, what, "now", true));
    CHECK(json["schema"] == "ktstr.run/1.0");
    CHECK(json["exit_code"] == 1);
    CHECK(json["outcome"] == "skip");
    CHECK(json["reason"] == "no KVM");
    CHECK(json["where"] == "/dev/kvm");
    CHECK_FALSE(json.contains("remedy"));
    CHECK(json["seed"] == 7);
}

TEST_CASE("report: docs/json-schema.md names every field") {
    std::ifstream file(KTSTR_SOURCE_ROOT "/docs/json-schema.md");
    std::stringstream content;
    content << file.rdbuf();
    auto const page = content.str();
    sample const s(outcome_kind::pass);
    std::set<std::string> keys;
    collect_keys(nlohmann::json::parse(json_text(s.report)), keys);
    for (auto const& key : keys) {
        CAPTURE(key);
        auto const named =
            page.find('`' + key + '`') != std::string::npos || page.find('.' + key + '`') != std::string::npos;
        CHECK((named || key.starts_with("measured_") || key.starts_with("bound_") || key == "fingerprint"));
    }
}

TEST_CASE("report: the log has what only the console saw of a panic") {
    run_evidence e;
    e.console = "Kernel panic - not syncing: x\n";
    CHECK(kernel_log_of(e) == e.console);
    e.kernel_log = "all is well\n";
    CHECK(kernel_log_of(e) == "all is well\n\n--- what only the console saw ---\nKernel panic - not syncing: x\n");
    e.console = "hello\n";
    CHECK(kernel_log_of(e) == "all is well\n");
}
