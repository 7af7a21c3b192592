// SPDX-License-Identifier: Apache-2.0
/// \file
/// One snapshot as text and JSON.
#include "ktstr-run/snapshot_show.hpp"

#include "support/quantity.hpp"

#include <array>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <string_view>

namespace ktstr::tool {

namespace {

using json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 6> group_names{"general", "segment", "control", "debug", "interrupt", "msr"};
constexpr std::array<std::string_view, 3> presence_names{"parked", "dead", "missing"};

std::string_view name_of(register_group g) { return group_names[static_cast<std::size_t>(g)]; }
std::string_view name_of(vcpu_presence p) { return presence_names[static_cast<std::size_t>(p)]; }
std::string hex(std::uint64_t n) { return fmt::format("{:#x}", n); }

/// Texts of a file are the file's: control characters would be the terminal's.
std::string clean(std::string_view text) {
    std::string out;
    for (char const c : text)
        out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    return out;
}

/// The same for JSON, which must be UTF-8.
std::string ascii(std::string_view text) {
    std::string out;
    for (char const c : text)
        out += static_cast<unsigned char>(c) < 0x80 ? c : '?';
    return out;
}

/// Where the vCPU was: "symbol+0x12", or "" when nobody knows.
std::string place_of(vcpu_record const& cpu, std::optional<symbol_table> const& symbols) {
    auto const at = cpu.value("rip", cpu.value("pc"));
    if (!symbols || at == 0)
        return {};
    auto const near = symbols->nearest(gva{at});
    if (!near)
        return {};
    return near->offset == 0 ? clean(near->symbol.name) : fmt::format("{}+{:#x}", clean(near->symbol.name), near->offset);
}

void add_registers(std::string& out, vcpu_record const& cpu) {
    std::size_t width = 3;
    for (auto const& r : cpu.registers)
        width = std::max(width, r.name.size());
    auto const columns = std::max<std::size_t>(1, 100 / (width + 21));
    for (std::size_t i = 0; i < cpu.registers.size();) {
        auto const group = cpu.registers[i].group;
        out += fmt::format("  {}\n", name_of(group));
        for (std::size_t column = 0; i < cpu.registers.size() && cpu.registers[i].group == group; ++i) {
            auto const& r = cpu.registers[i];
            out += fmt::format("{}{:<{}} {:#018x}", column == 0 ? "    " : "  ", clean(r.name), width, r.value);
            column = (column + 1) % columns;
            if (column == 0 || i + 1 == cpu.registers.size() || cpu.registers[i + 1].group != group) {
                out += '\n';
                column = 0;
            }
        }
    }
    if (!cpu.fpu.empty())
        out += fmt::format("  FPU state: {} bytes\n", cpu.fpu.size());
}

std::string since(nanos from, nanos to) { return to.raw >= from.raw ? time_text(to - from) : std::string("not reached"); }

} // namespace

std::string snapshot_text(snapshot_file& file) {
    auto const& h = file.header();
    std::string out = fmt::format("{}: {}{}\n", file.path(), file.core() == nullptr ? "ktstr snapshot" : "ELF core",
                                  file.core() != nullptr && !file.core()->has_own_notes() ? ", not written by ktstr" : "");
    auto const line = [&](std::string_view name, std::string const& value) {
        if (!value.empty())
            out += fmt::format("  {:<13}{}\n", name, value);
    };
    line("machine", clean(h.arch) + fmt::format(", {} vCPU{}", h.vcpus.size(), h.vcpus.size() == 1 ? "" : "s"));
    if (h.generation != 0)
        line("freeze", fmt::format("{}, cause {}{}", h.generation, clean(h.cause), h.tag.empty() ? "" : ", name " + clean(h.tag)));
    if (h.requested.raw != 0)
        line("frozen after", fmt::format("{} (memory still), {} (all vCPUs parked)", since(h.requested, h.quiesced), since(h.requested, h.parked)));
    if (h.generation != 0)
        line("clocks held", h.clocks.kvm_clock ? (h.clocks.counter ? "KVM clock and counter" : "KVM clock") : (h.clocks.counter ? "counter" : "none"));
    line("degraded", clean(h.degraded));
    line("kernel", clean(vmcoreinfo_value(h.vmcoreinfo, "OSRELEASE")));
    if (h.kernel.text_virtual != 0)
        line("image at", fmt::format("{:#x}, physical {:#x}, {}", h.kernel.text_virtual, h.kernel.text_physical, size_text(h.kernel.text_size)));
    if (h.kernel.direct_map != 0)
        line("direct map", hex(h.kernel.direct_map));
    if (h.vmcoreinfo.empty())
        line("VMCOREINFO", "none");
    std::uint64_t total = 0;
    out += "memory\n";
    for (auto const& r : h.ram) {
        total += r.range.size.raw;
        out += fmt::format("  {:#018x}-{:#018x}  {:>7}  node {}\n", r.range.start.raw, r.range.end().raw, size_text(r.range.size.raw), r.node);
    }
    auto const pages = file.stored_pages();
    out += fmt::format("  {} of {} in the file, the rest is zero\n", size_text(pages * 4096), size_text(total));
    if (auto* const own = file.own())
        for (auto const& s : own->sections())
            if (s.paged && s.name != ktsnap::name_ram)
                out += fmt::format("  section {} version {}, {}\n", clean(s.name), s.version, size_text(s.stored));
    auto const symbols = file.symbols();
    for (auto const& cpu : h.vcpus) {
        auto const place = place_of(cpu, symbols);
        out += fmt::format("vCPU {} (hardware id {}, {}){}\n", cpu.index, cpu.hardware_id, name_of(cpu.presence),
                           place.empty() ? "" : " in " + place);
        if (cpu.registers.empty())
            out += "  no registers\n";
        add_registers(out, cpu);
    }
    return out;
}

std::string snapshot_json(snapshot_file& file) {
    auto const& h = file.header();
    json out{{"schema", "ktstr.snapshot/1.0"}, {"file", ascii(file.path())}, {"format", file.format()}};
    if (file.core() != nullptr)
        out["written_by_ktstr"] = file.core()->has_own_notes();
    out["arch"] = ascii(h.arch);
    out["generation"] = h.generation;
    out["cause"] = ascii(h.cause);
    out["tag"] = ascii(h.tag);
    out["requested_ns"] = h.requested.raw;
    out["quiesced_ns"] = h.quiesced.raw;
    out["parked_ns"] = h.parked.raw;
    out["clocks_held"] = {{"kvm_clock", h.clocks.kvm_clock}, {"counter", h.clocks.counter}};
    out["degraded"] = ascii(h.degraded);
    out["release"] = ascii(vmcoreinfo_value(h.vmcoreinfo, "OSRELEASE"));
    out["vmcoreinfo"] = ascii(h.vmcoreinfo);
    out["kernel"] = {{"text_virtual", hex(h.kernel.text_virtual)}, {"text_physical", hex(h.kernel.text_physical)},
                     {"text_size", h.kernel.text_size}, {"direct_map", hex(h.kernel.direct_map)}};
    out["ram"] = json::array();
    for (auto const& r : h.ram)
        out["ram"].push_back({{"start", hex(r.range.start.raw)}, {"bytes", r.range.size.raw}, {"node", r.node}});
    out["stored_pages"] = file.stored_pages();
    out["sections"] = json::array();
    if (auto* const own = file.own())
        for (auto const& s : own->sections())
            out["sections"].push_back({{"name", ascii(s.name)}, {"version", s.version}, {"codec", s.codec}, {"pages", s.pages}, {"bytes", s.stored}});
    out["vcpus"] = json::array();
    auto const symbols = file.symbols();
    for (auto const& cpu : h.vcpus) {
        json one{{"index", cpu.index}, {"hardware_id", cpu.hardware_id}, {"presence", name_of(cpu.presence)}, {"fpu_bytes", cpu.fpu.size()}};
        if (auto const place = place_of(cpu, symbols); !place.empty())
            one["in"] = ascii(place);
        // Numbers above 2^53 do not survive every JSON reader, so registers are texts.
        one["registers"] = json::object();
        for (auto const& r : cpu.registers)
            one["registers"][std::string(name_of(r.group))][ascii(r.name)] = hex(r.value);
        out["vcpus"].push_back(std::move(one));
    }
    return out.dump(2) + '\n';
}

} // namespace ktstr::tool
