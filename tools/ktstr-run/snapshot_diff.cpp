// SPDX-License-Identifier: Apache-2.0
/// \file
/// The way from one snapshot to another: registers and pages that changed.
#include "ktstr-run/snapshot_show.hpp"
#include "support/quantity.hpp"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ktstr::tool {

namespace {

using json = nlohmann::ordered_json;
constexpr std::uint64_t page_bytes = 4096;

vcpu_record const* find_vcpu(kept_header const& h, std::uint32_t index) {
    for (auto const& cpu : h.vcpus)
        if (cpu.index == index)
            return &cpu;
    return nullptr;
}

std::optional<std::uint64_t> find_value(vcpu_record const& cpu, std::string const& name) {
    for (auto const& r : cpu.registers)
        if (r.name == name)
            return r.value;
    return std::nullopt;
}

void compare_registers(snapshot_changes& out, kept_header const& a, kept_header const& b) {
    for (auto const& before : a.vcpus) {
        auto const* const after = find_vcpu(b, before.index);
        if (after == nullptr) {
            out.vcpus_only_a.push_back(before.index);
            continue;
        }
        for (auto const& r : before.registers)
            if (auto const now = find_value(*after, r.name); now != r.value)
                out.registers.push_back({before.index, r.name, r.value, now});
        for (auto const& r : after->registers)
            if (!find_value(before, r.name))
                out.registers.push_back({before.index, r.name, std::nullopt, r.value});
        if (before.fpu != after->fpu)
            out.fpu.push_back(before.index);
    }
    for (auto const& after : b.vcpus)
        if (find_vcpu(a, after.index) == nullptr)
            out.vcpus_only_b.push_back(after.index);
}

/// The text of `value`, or "-" for a register that is not there.
std::string shown(std::optional<std::uint64_t> value) { return value ? fmt::format("{:#018x}", *value) : std::string("-"); }

/// A register's name without what a terminal would act on.
std::string clean(std::string const& text) {
    auto out = text;
    std::replace_if(out.begin(), out.end(), [](char c) { return c < 0x20 || c == 0x7f; }, '?');
    return out;
}

} // namespace

result<snapshot_changes> compare_snapshots(snapshot_file& a, snapshot_file& b) {
    snapshot_changes out;
    compare_registers(out, a.header(), b.header());
    auto const& ram_a = a.header().ram;
    auto const& ram_b = b.header().ram;
    out.same_ram = std::equal(ram_a.begin(), ram_a.end(), ram_b.begin(), ram_b.end(),
                              [](ram_region const& x, ram_region const& y) { return x.range == y.range; });
    auto next_a = a.next_stored(gpa{0});
    auto next_b = b.next_stored(gpa{0});
    while (next_a || next_b) {
        auto const at = !next_b || (next_a && *next_a < *next_b) ? *next_a : *next_b;
        if (next_a && *next_a == at)
            next_a = a.next_stored(at + page_bytes);
        if (next_b && *next_b == at)
            next_b = b.next_stored(at + page_bytes);
        if (find_region(ram_a, at) == nullptr || find_region(ram_b, at) == nullptr)
            continue;
        KTSTR_TRY(auto const before, a.page(at));
        KTSTR_TRY(auto const after, b.page(at));
        if (std::memcmp(before.data(), after.data(), page_bytes) == 0)
            continue;
        ++out.page_count;
        if (!out.pages.empty() && out.pages.back().end() == at)
            out.pages.back().size = out.pages.back().size + bytes{page_bytes};
        else
            out.pages.push_back({at, bytes{page_bytes}});
    }
    return out;
}

std::string diff_text(snapshot_file const& a, snapshot_file const& b, snapshot_changes const& changes) {
    constexpr std::size_t most = 40; // ranges shown; JSON has them all
    std::string out = fmt::format("{} -> {}\n", a.path(), b.path());
    if (changes.none())
        return out + "  nothing changed\n";
    if (!changes.same_ram)
        out += "  the machines' memory maps differ; RAM that both have is compared\n";
    for (auto const index : changes.vcpus_only_a)
        out += fmt::format("vCPU {} is in the first only\n", index);
    for (auto const index : changes.vcpus_only_b)
        out += fmt::format("vCPU {} is in the second only\n", index);
    std::uint32_t last = ~std::uint32_t{0};
    for (auto const& r : changes.registers) {
        if (r.vcpu != last)
            out += fmt::format("vCPU {}\n", r.vcpu);
        last = r.vcpu;
        out += fmt::format("  {:<16} {} -> {}\n", clean(r.name), shown(r.before), shown(r.after));
    }
    for (auto const index : changes.fpu)
        out += fmt::format("vCPU {}: FPU state changed\n", index);
    out += fmt::format("memory: {} page{} ({}) in {} range{} changed\n", changes.page_count, changes.page_count == 1 ? "" : "s",
                       size_text(changes.page_count * page_bytes), changes.pages.size(), changes.pages.size() == 1 ? "" : "s");
    for (std::size_t i = 0; i < std::min(most, changes.pages.size()); ++i)
        out += fmt::format("  {:#018x}-{:#018x}  {}\n", changes.pages[i].start.raw, changes.pages[i].end().raw, size_text(changes.pages[i].size.raw));
    if (changes.pages.size() > most)
        out += fmt::format("  and {} more (--json lists all)\n", changes.pages.size() - most);
    return out;
}

std::string diff_json(snapshot_file const& a, snapshot_file const& b, snapshot_changes const& changes) {
    auto const text = [](std::optional<std::uint64_t> v) { return v ? json(fmt::format("{:#x}", *v)) : json(nullptr); };
    json out{{"schema", "ktstr.snapshot-diff/1.0"}, {"first", a.path()}, {"second", b.path()}, {"same", changes.none()}, {"same_ram", changes.same_ram}};
    out["registers"] = json::array();
    for (auto const& r : changes.registers)
        out["registers"].push_back({{"vcpu", r.vcpu}, {"name", r.name}, {"before", text(r.before)}, {"after", text(r.after)}});
    out["fpu"] = changes.fpu;
    out["vcpus_only_in_first"] = changes.vcpus_only_a;
    out["vcpus_only_in_second"] = changes.vcpus_only_b;
    out["changed_pages"] = changes.page_count;
    out["ranges"] = json::array();
    for (auto const& r : changes.pages)
        out["ranges"].push_back({{"start", fmt::format("{:#x}", r.start.raw)}, {"bytes", r.size.raw}});
    return out.dump(2, ' ', false, json::error_handler_t::replace) + '\n';
}

} // namespace ktstr::tool
