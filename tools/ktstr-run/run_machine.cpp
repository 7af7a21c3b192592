// SPDX-License-Identifier: Apache-2.0
#include "ktstr-run/run_machine.hpp"

#include "ktstr-run/linux_machine.hpp"
#include "ktstr-run/supervise.hpp"
#include "ktstr/run/death.hpp"
#include "ktstr/sys/publish.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <sys/mman.h>
#include <sys/resource.h>
#include <utility>
#include <vector>

namespace ktstr::tool {

namespace {

nanos of(timeval const& t) { return nanos{std::int64_t{t.tv_sec} * 1'000'000'000 + std::int64_t{t.tv_usec} * 1000}; }

/// Time stolen from this host by its own hypervisor, all CPUs together (/proc/stat, eighth number; ticks of 10 ms).
nanos host_steal() {
    auto const text = read_file("/proc/stat");
    if (!text)
        return {};
    unsigned long long field[8]{};
    if (std::sscanf(text->c_str(), "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &field[0], &field[1], &field[2], &field[3],
                    &field[4], &field[5], &field[6], &field[7]) != 8)
        return {};
    return nanos{static_cast<std::int64_t>(field[7]) * 10'000'000};
}

/// Resident bytes of this process that are not guest RAM.
bytes own_memory(mmap_memory const& memory) {
    auto const text = read_file("/proc/self/statm");
    if (!text)
        return {};
    auto const resident = std::strtoull(text->c_str() + text->find(' '), nullptr, 10) * 4096;
    std::uint64_t guest = 0;
    std::vector<unsigned char> pages;
    for (auto const& r : memory.regions()) {
        pages.resize(r.range.size.raw / 4096);
        if (::mincore(memory.host(r), r.range.size.raw, pages.data()) == 0)
            guest += static_cast<std::uint64_t>(std::count_if(pages.begin(), pages.end(), [](auto p) { return (p & 1) != 0; })) * 4096;
    }
    return bytes{resident > guest ? resident - guest : 0};
}

/// Writes guest RAM as a sparse file: byte n of the file is guest physical address n.
result<> keep_memory(mmap_memory const& memory, std::string const& path) {
    KTSTR_TRY(auto file, publication::open(path));
    std::vector<unsigned char> pages;
    for (auto const& r : memory.regions()) {
        if (::ftruncate(file.fd(), static_cast<off_t>(r.range.end().raw)) != 0)
            return os_fail("ftruncate", r.range.end().raw);
        pages.resize(r.range.size.raw / 4096);
        if (::mincore(memory.host(r), r.range.size.raw, pages.data()) != 0)
            return os_fail("mincore");
        for (std::size_t i = 0; i < pages.size(); ++i) {
            if ((pages[i] & 1) == 0)
                continue;
            auto const at = static_cast<off_t>(r.range.start.raw + i * 4096);
            if (::pwrite(file.fd(), memory.host(r) + i * 4096, 4096, at) != 4096)
                return os_fail("pwrite", static_cast<std::uint64_t>(at));
        }
    }
    return file.commit();
}

void add_exits(machine_outcome& out, machine_runner& runner) {
    for (std::size_t kind = 0; kind < exit_kinds; ++kind) {
        exit_count sum{exit_kind_names[kind], 0, 0};
        for (auto const& slot : runner.vcpus()) {
            sum.count += slot.stats().counts[kind];
            sum.ns += static_cast<std::uint64_t>(slot.stats().handling[kind].raw);
        }
        out.runs += sum.count;
        if (sum.count != 0)
            out.evidence.exits.push_back(std::move(sum));
    }
}

void add_observer(machine_outcome& out, linux_machine& machine, nanos steal_before) {
    auto& o = out.observer;
    for (auto const& slot : machine.runner->vcpus()) {
        o.vcpu_user = o.vcpu_user + of(slot.usage().ru_utime);
        o.vcpu_system = o.vcpu_system + of(slot.usage().ru_stime);
        o.vcpu_run_delay = o.vcpu_run_delay + nanos{slot.service().run_delay_ns};
    }
    rusage all{};
    ::getrusage(RUSAGE_SELF, &all);
    o.helpers = of(all.ru_utime) + of(all.ru_stime) - o.vcpu_user - o.vcpu_system;
    o.host_steal = host_steal() - steal_before;
    o.own_memory = own_memory(machine.runner->memory());
}

} // namespace

outcome<machine_outcome> run_machine(machine_request const& request, progress& show) {
    auto const from = monotonic_clock{}.now();
    auto const steal = host_steal();
    if (auto const done = install_death_handlers(); !done)
        return std::unexpected(problem_from(done.error(), exit_code::harness, "signal handlers cannot be installed"));
    auto machine = build_linux_machine(request, from);
    if (!machine)
        return std::unexpected(std::move(machine).error());

    supervisor watch(request, *machine, show, from);
    auto evidence = watch.run();
    if (!evidence)
        return std::unexpected(std::move(evidence).error());

    machine_outcome out;
    out.evidence = std::move(*evidence);
    out.wall = monotonic_clock{}.now() - from;
    // The agent's own remarks, which came as messages, follow what the guest's consoles showed.
    out.evidence.console.insert(0, machine->output->console());
    add_exits(out, *machine->runner);
    add_observer(out, *machine, steal);
    out.boot = machine->boot;
    out.snapshots = watch.snapshots();
    out.watches = watch.watches();
    out.snapshots_missed = watch.missed_snapshots();
    if (!request.memory_file.empty()) {
        if (auto const kept = keep_memory(machine->runner->memory(), request.memory_file); !kept)
            return std::unexpected(problem_from(kept.error(), exit_code::harness, "the guest's memory cannot be written",
                                                request.memory_file, "free some space, or leave --keep out"));
    }
    return out;
}

} // namespace ktstr::tool
