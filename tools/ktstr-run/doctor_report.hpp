// SPDX-License-Identifier: Apache-2.0
/// \file
/// `ktstr-run doctor` as a value: what was seen, what each thing means, and its two renderings. Pure.
#pragma once

#include "ktstr/probe/host_resources.hpp"
#include "ktstr/probe/kvm_facts.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ktstr::tool {

/// A program that something of ours calls, and where it is.
struct program_facts {
    std::string name;
    std::string path; ///< Empty: not installed.
    bool optional = false;
    std::string used_for;
};

/// Everything the report is made from.
struct doctor_facts {
    kvm_facts kvm;
    host_resources host;
    std::vector<program_facts> programs;
    std::string lab_program; ///< Empty: not installed.
    bool lab_fetched = false; ///< The lab's parts are in the cache.
    std::string kvm_group; ///< The group whose members may open /dev/kvm; empty: there is none, or it is not known.
    std::string user;
};

/// How much a check matters.
enum class check_status : std::uint8_t {
    good,
    note, ///< Something is less than it could be; runs work.
    bad,  ///< Something that runs need does not work.
};

/// One line of the report.
struct doctor_check {
    std::string_view id; ///< Stable name, as in JSON: "kvm", "hugepages", ...
    check_status status = check_status::good;
    std::string what;
    std::string remedy; ///< Empty when nothing is to be done.
};

/// The whole report.
struct doctor_report {
    kvm_judgement judgement;
    std::string verdict; ///< One sentence.
    bool can_boot = false; ///< Linux boots here: on the host or in the lab.
    machine_kind automatic = machine_kind::lab; ///< What `--machine auto` takes.
    std::vector<doctor_check> checks;
};

/// Draws the conclusions.
[[nodiscard]] doctor_report make_doctor_report(doctor_facts const& facts);

/// The report for people.
[[nodiscard]] std::string doctor_text(doctor_facts const& facts, doctor_report const& report, bool colour);

/// The report for programs: schema ktstr.doctor/1.1 (docs/doctor.md), one JSON object with a newline behind it.
[[nodiscard]] std::string doctor_json(doctor_facts const& facts, doctor_report const& report);

} // namespace ktstr::tool
