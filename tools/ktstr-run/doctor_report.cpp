// SPDX-License-Identifier: Apache-2.0
/// \file
/// What the doctor concludes, and how it says so.
#include "ktstr-run/doctor_report.hpp"

#include "support/quantity.hpp"
#include "support/terminal.hpp"

#include <cstring>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <utility>

namespace ktstr::tool {

namespace {

std::string stub_text(stub_result const& r) {
    switch (r.outcome) {
    case stub_outcome::internal_error: return fmt::format("KVM_EXIT_INTERNAL_ERROR suberror {}", r.suberror);
    case stub_outcome::other_exit: return fmt::format("unexpected exit {}", r.suberror);
    case stub_outcome::failed: return fmt::format("failed: {}", std::strerror(static_cast<int>(r.suberror)));
    default: return std::string(word(r.outcome));
    }
}

std::string loop_text(kvm_facts const& f) {
    return f.loop_ps < 10'000 ? fmt::format("{:.2f} ns", static_cast<double>(f.loop_ps) / 1000)
                              : fmt::format("{} ns", (f.loop_ps + 500) / 1000);
}

std::string verdict_text(doctor_facts const& facts, kvm_judgement const& j) {
    switch (j.verdict) {
    case kvm_verdict::native: return "native: Linux guests run on this machine's /dev/kvm";
    case kvm_verdict::emulated:
        return "emulated: /dev/kvm works, but its kernel mode is too slow or incomplete for Linux";
    case kvm_verdict::forbidden: return fmt::format("no permission: {} may not open /dev/kvm", facts.user.empty() ? "this user" : facts.user);
    case kvm_verdict::absent: break;
    }
    return j.reason == kvm_reason::no_device ? "absent: this machine has no /dev/kvm" : "absent: /dev/kvm is there and runs no guest";
}

std::string kvm_remedy(doctor_facts const& facts, kvm_judgement const& j) {
    auto const lab = std::string(facts.lab_program.empty() ? "build ktstr-lab to have an emulated machine instead"
                                                           : "--machine auto takes the lab, an emulated machine, instead");
    switch (j.reason) {
    case kvm_reason::none: return {};
    case kvm_reason::no_device:
        return "load kvm_intel or kvm_amd (virtualisation switched on in the firmware; in a cloud VM: a type with nested "
               "virtualisation); until then " + lab;
    case kvm_reason::no_permission: {
        auto const user = facts.user.empty() ? std::string("$USER") : facts.user;
        auto const group = facts.kvm_group.empty() ? std::string("kvm") : facts.kvm_group;
        auto const first = facts.kvm_group.empty() ? "sudo chown root:kvm /dev/kvm, sudo chmod 660 /dev/kvm, " : "";
        return fmt::format("{}sudo adduser {} {}, then log in again; until then {}", first, user, group, lab);
    }
    case kvm_reason::wrong_api:
    case kvm_reason::open_failed:
    case kvm_reason::missing_capability: return "run a host kernel of 5.10 or newer with KVM; until then " + lab;
    case kvm_reason::cannot_run: return "look for KVM messages in the host's kernel log (dmesg); until then " + lab;
    case kvm_reason::no_xsave:
    case kvm_reason::no_cmpxchg16b:
    case kvm_reason::slow_kernel_mode:
        return "this host's hypervisor gives no hardware virtualisation to its guests; on another host or VM type it may. " + lab;
    }
    return lab;
}

void check_kvm(doctor_facts const& facts, doctor_report& report) {
    auto const& f = facts.kvm;
    auto& checks = report.checks;
    auto const first = checks.size();
    if (f.access != kvm_access::opened) {
        auto what = f.os_errno != 0 ? fmt::format("/dev/kvm: {}", std::strerror(f.os_errno))
                                    : fmt::format("/dev/kvm: API version {}, 12 is needed", f.api_version);
        checks.push_back({"kvm", check_status::bad, std::move(what), kvm_remedy(facts, report.judgement)});
        return;
    }
    std::string missing;
    for (auto const& c : f.capabilities) {
        if (c.required && c.value <= 0)
            missing += fmt::format("{}{}", missing.empty() ? "" : ", ", c.name);
    }
    checks.push_back({"kvm", missing.empty() ? check_status::good : check_status::bad,
                      fmt::format("/dev/kvm: API version {}{}", f.api_version,
                                  missing.empty() ? std::string(", all needed capabilities") : ", missing: " + missing),
                      {}});
    auto const stub = [&checks](std::string_view id, std::string what, bool good) {
        checks.push_back({id, good ? check_status::good : check_status::bad, std::move(what), {}});
    };
    auto const loop_runs = f.loop.outcome == stub_outcome::works;
    stub("kvm.kernel_mode",
         loop_runs ? fmt::format("kernel mode: {} per loop iteration (Linux needs {} ns or less)", loop_text(f), kernel_mode_limit_ps / 1000)
                   : "kernel mode: " + stub_text(f.loop),
         loop_runs && f.loop_ps <= kernel_mode_limit_ps);
    stub("kvm.exit", f.exits.outcome == stub_outcome::works ? fmt::format("exit to user space and back: {}", time_text(nanos{static_cast<std::int64_t>(f.exit_ns)}))
                                                            : "exit to user space: " + stub_text(f.exits),
         f.exits.outcome == stub_outcome::works);
    auto const instruction = [&stub](std::string_view id, std::string_view name, stub_result const& r, bool host) {
        auto const hidden = r.outcome == stub_outcome::not_offered;
        stub(id, fmt::format("{} in kernel mode: {}", name, hidden && host ? "the host has it, KVM does not offer it" : stub_text(r)),
             r.outcome == stub_outcome::works || (hidden && !host));
    };
    instruction("kvm.xsave", "XSAVE", f.xsave, f.host_uses_xsave);
    instruction("kvm.cmpxchg16b", "CMPXCHG16B", f.cmpxchg16b, f.host_has_cmpxchg16b);
    if (f.watchpoint.outcome != stub_outcome::not_run) {
        auto const fires = f.watchpoint.outcome == stub_outcome::works;
        auto const silent = f.watchpoint == stub_result{stub_outcome::wrong_result, 0};
        checks.push_back({"kvm.watchpoint", fires ? check_status::good : check_status::note,
                          fires    ? std::string("hardware watchpoints in guests: fire")
                          : silent ? std::string("hardware watchpoints in guests: KVM takes them, and they never fire")
                                   : "hardware watchpoints in guests: " + stub_text(f.watchpoint),
                          fires ? "" : "nothing to do: --watch looks at the memory on a timer here, and says so"});
    }
    // What to do is the same for all of them; it stands with the last one that is bad.
    for (auto i = checks.size(); i-- > first;) {
        if (checks[i].status == check_status::bad) {
            checks[i].remedy = kvm_remedy(facts, report.judgement);
            break;
        }
    }
}

void check_lab(doctor_facts const& facts, doctor_report& report) {
    auto const needed = report.judgement.verdict != kvm_verdict::native;
    if (facts.lab_program.empty())
        report.checks.push_back({"lab", needed ? check_status::bad : check_status::note, "the lab (ktstr-lab) is not beside this program",
                                 "build the whole project: tools/quickstart"});
    else if (!facts.lab_fetched)
        report.checks.push_back({"lab", check_status::note, "the lab is installed; its first start fetches QEMU and a kernel",
                                 "have a network for the first run, or run tools/quickstart once"});
    else
        report.checks.push_back({"lab", check_status::good, "the lab is installed and its parts are in the cache", {}});
}

void check_host(doctor_facts const& facts, doctor_report& report) {
    auto& checks = report.checks;
    auto const& h = facts.host;
    constexpr auto least_memory = bytes{1 * GiB}; // A guest of 512 MiB beside its kernel and initramfs in the page cache.
    checks.push_back({"memory", h.memory.available < least_memory ? check_status::bad : check_status::good,
                      fmt::format("memory: {} free of {}, {} CPUs", size_text(h.memory.available.raw), size_text(h.memory.total.raw), h.cpus),
                      h.memory.available < least_memory ? "end other programs, or give guests less with --memory" : ""});

    checks.push_back({"hugepages", h.transparent_huge.empty() || h.transparent_huge == "never" ? check_status::note : check_status::good,
                      fmt::format("huge pages: transparent {}; pool {} of {} pages of {} free",
                                  h.transparent_huge.empty() ? "not in this kernel" : h.transparent_huge, h.memory.huge_free,
                                  h.memory.huge_total, size_text(h.memory.huge_page.raw)),
                      h.transparent_huge == "never"
                          ? "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled makes guest RAM faster to fault in"
                          : ""});

    if (h.cgroup.mount.empty())
        checks.push_back({"cgroup", check_status::note, "cgroup v2 is not mounted on this host (guests mount their own)",
                          "mount -t cgroup2 none /sys/fs/cgroup, to put runs into a cgroup of their own"});
    else
        checks.push_back({"cgroup", check_status::good,
                          fmt::format("cgroup v2 at {}{}{}", h.cgroup.mount,
                                      h.cgroup.controllers.empty() ? ", no controllers" : ": " + h.cgroup.controllers,
                                      h.cgroup.writable ? "; ours is writable" : ""),
                          {}});

    auto const limit = [](limit_facts const& l, bool size) {
        auto const one = [size](std::uint64_t v) {
            return v == limit_facts::unlimited ? std::string("unlimited") : size ? size_text(v) : std::to_string(v);
        };
        return l.soft == l.hard ? one(l.soft) : fmt::format("{} (up to {})", one(l.soft), one(l.hard));
    };
    constexpr std::uint64_t least_files = 1024; // Three descriptors for each of 252 vCPUs, and everything else.
    checks.push_back({"limits.nofile", h.open_files.hard < least_files ? check_status::bad : check_status::good,
                      "open files: " + limit(h.open_files, false),
                      h.open_files.hard < least_files ? "raise it: ulimit -n 1024, or /etc/security/limits.conf" : ""});
    checks.push_back({"limits.memlock", check_status::good, "locked memory: " + limit(h.locked_memory, true), {}});
    auto const realtime = h.realtime_priority.soft != 0;
    checks.push_back({"limits.rtprio", realtime ? check_status::good : check_status::note,
                      "real-time priority: " + limit(h.realtime_priority, false),
                      realtime ? "" : "only for vCPU threads with real-time priority: 'rtprio' in /etc/security/limits.conf"});

    constexpr auto least_disk = bytes{2 * GiB}; // A kernel with modules takes some 200 MB, the lab some 500 MB.
    auto const little = h.cache_free && *h.cache_free < least_disk;
    checks.push_back({"disk", !h.cache_free ? check_status::note : little ? check_status::bad : check_status::good,
                      h.cache_free ? fmt::format("disk for the cache: {} free in {}", size_text(h.cache_free->raw), h.cache_folder)
                                   : fmt::format("disk for the cache: {} cannot be looked at", h.cache_folder.empty() ? "its folder" : h.cache_folder),
                      little ? "make room, remove kernels (ktstr-run kernel rm), or point XDG_CACHE_HOME elsewhere"
                      : h.cache_free ? ""
                                     : "set HOME or XDG_CACHE_HOME"});
    for (auto const& p : facts.programs) {
        auto const there = !p.path.empty();
        checks.push_back({"program", there ? check_status::good : p.optional ? check_status::note : check_status::bad,
                          there ? fmt::format("{}: {}", p.name, p.path) : fmt::format("{} is not installed", p.name),
                          there ? std::string() : fmt::format("{}for {}", p.optional ? "optional, " : "needed ", p.used_for)});
    }
}

std::string_view word(check_status s) {
    switch (s) {
    case check_status::good: return "good";
    case check_status::note: return "note";
    case check_status::bad: break;
    }
    return "bad";
}

} // namespace

doctor_report make_doctor_report(doctor_facts const& facts) {
    doctor_report out;
    out.judgement = judge_kvm(facts.kvm);
    out.verdict = verdict_text(facts, out.judgement);
    out.automatic = choose(machine_wish::automatic, out.judgement.verdict);
    out.can_boot = out.automatic == machine_kind::host || !facts.lab_program.empty();
    check_kvm(facts, out);
    check_lab(facts, out);
    check_host(facts, out);
    return out;
}

std::string doctor_text(doctor_facts const&, doctor_report const& report, bool coloured) {
    auto const tone = report.judgement.verdict == kvm_verdict::native ? colour::good : report.can_boot ? colour::warn : colour::bad;
    std::string out = paint(report.verdict, tone, coloured) + '\n';
    out += report.automatic == machine_kind::host ? "--machine auto runs guests on this host\n"
           : report.can_boot                      ? "--machine auto runs guests in the lab, an emulated machine on this host (slower)\n"
                                                  : "no guest can run here\n";
    out += '\n';
    for (auto const& c : report.checks) {
        auto const how = c.status == check_status::good ? colour::good : c.status == check_status::note ? colour::warn : colour::bad;
        auto const mark = c.status == check_status::good ? "ok  " : c.status == check_status::note ? "note" : "BAD ";
        out += fmt::format("  {}  {}\n", paint(mark, how, coloured), c.what);
        if (!c.remedy.empty())
            out += fmt::format("        {}\n", paint(c.remedy, colour::dim, coloured));
    }
    return out;
}

std::string doctor_json(doctor_facts const& facts, doctor_report const& report) {
    using json = nlohmann::ordered_json;
    auto const& f = facts.kvm;
    auto const& h = facts.host;
    json out;
    out["schema"] = "ktstr.doctor/1.1";
    out["verdict"] = ktstr::word(report.judgement.verdict);
    out["reason"] = ktstr::word(report.judgement.reason);
    out["machine_auto"] = report.automatic == machine_kind::host ? "host" : "lab";
    out["can_boot"] = report.can_boot;

    auto& kvm = out["kvm"] = json::object();
    kvm["opened"] = f.access == kvm_access::opened;
    if (f.os_errno != 0)
        kvm["errno"] = f.os_errno;
    if (f.api_version != 0)
        kvm["api_version"] = f.api_version;
    if (f.loop.outcome == stub_outcome::works)
        kvm["kernel_loop_ps"] = f.loop_ps;
    if (f.exits.outcome == stub_outcome::works)
        kvm["exit_round_trip_ns"] = f.exit_ns;
    if (f.access == kvm_access::opened) {
        auto const stub = [](stub_result const& r) {
            json one{{"outcome", ktstr::word(r.outcome)}};
            if (r.suberror != 0)
                one["suberror"] = r.suberror;
            return one;
        };
        kvm["stubs"] = {{"loop", stub(f.loop)}, {"exits", stub(f.exits)}, {"xsave", stub(f.xsave)}, {"cmpxchg16b", stub(f.cmpxchg16b)}};
        if (f.watchpoint.outcome != stub_outcome::not_run)
            kvm["stubs"]["watchpoint"] = stub(f.watchpoint);
        auto& caps = kvm["capabilities"] = json::array();
        for (auto const& c : f.capabilities)
            caps.push_back({{"name", c.name}, {"value", c.value}, {"required", c.required}});
    }

    auto const limit = [](limit_facts const& l) {
        json one = json::object(); // A limit that is not there is unlimited.
        if (l.soft != limit_facts::unlimited)
            one["soft"] = l.soft;
        if (l.hard != limit_facts::unlimited)
            one["hard"] = l.hard;
        return one;
    };
    auto& host = out["host"] = json::object();
    host["cpus"] = h.cpus;
    host["memory_total_bytes"] = h.memory.total.raw;
    host["memory_available_bytes"] = h.memory.available.raw;
    host["huge_page_bytes"] = h.memory.huge_page.raw;
    host["huge_pages_total"] = h.memory.huge_total;
    host["huge_pages_free"] = h.memory.huge_free;
    if (!h.transparent_huge.empty())
        host["transparent_huge_pages"] = h.transparent_huge;
    if (!h.cgroup.mount.empty())
        host["cgroup2"] = {{"mount", h.cgroup.mount}, {"own", h.cgroup.own}, {"controllers", h.cgroup.controllers}, {"writable", h.cgroup.writable}};
    host["limits"] = {{"nofile", limit(h.open_files)}, {"memlock_bytes", limit(h.locked_memory)}, {"rtprio", limit(h.realtime_priority)}};
    host["cache_folder"] = h.cache_folder;
    if (h.cache_free)
        host["cache_free_bytes"] = h.cache_free->raw;

    out["lab"] = {{"installed", !facts.lab_program.empty()}, {"fetched", facts.lab_fetched}};
    auto& programs = out["programs"] = json::array();
    for (auto const& p : facts.programs) {
        json one{{"name", p.name}, {"optional", p.optional}, {"used_for", p.used_for}};
        if (!p.path.empty())
            one["path"] = p.path;
        programs.push_back(std::move(one));
    }
    auto& checks = out["checks"] = json::array();
    for (auto const& c : report.checks) {
        json one{{"id", c.id}, {"status", word(c.status)}, {"what", c.what}};
        if (!c.remedy.empty())
            one["remedy"] = c.remedy;
        checks.push_back(std::move(one));
    }
    // Bytes of a foreign locale or path must not end the report.
    return out.dump(2, ' ', false, json::error_handler_t::replace) + '\n';
}

} // namespace ktstr::tool
