// SPDX-License-Identifier: Apache-2.0
/// \file
/// Reads an ELF-64 core of a machine back: header, registers, memory. For our own cores and, as far as they go, others'.
///
/// Checked: class, byte order, type, machine; every table, note and segment inside the file; address ranges without
/// overflow; our own notes as kept_header.hpp does. Not checked: what memory and registers hold. A core without our
/// notes (QEMU's, the kernel's) has the registers of its NT_PRSTATUS notes and the RAM of its PT_LOADs.
#pragma once

#include "ktstr/abi/elf_core.hpp"
#include "ktstr/base/checked.hpp"
#include "ktstr/base/cursor.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/snapshot/elf_core.hpp"
#include "ktstr/snapshot/kept_header.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace ktstr {

/// One PT_LOAD: where its bytes are in memory and in the file.
struct core_segment {
    gpa physical{};
    gva address{};                     ///< p_vaddr; 0 when the writer did not know it.
    std::uint64_t size = 0;            ///< Bytes of memory; what `content` lacks reads zero.
    std::span<std::byte const> content{};
};

/// A core file taken apart. Borrows the file's bytes.
class core_file {
public:
    /// Takes the core at `file` apart. `errc::bad_format` for what is no ELF core, `errc::unsupported` for another class,
    /// byte order or machine, `errc::truncated` when something lies beyond the end.
    [[nodiscard]] static result<core_file> open(std::span<std::byte const> file) {
        core_file out;
        KTSTR_TRY(auto const count, out.read_ehdr(file));
        reader table(file, "core.phdr");
        KTSTR_CHECK(table.seek(sizeof(elf::ehdr)));
        for (std::size_t i = 0; i < count; ++i) {
            KTSTR_TRY(auto const p, table.get<elf::phdr>());
            if (p.type != elf::pt_note && p.type != elf::pt_load)
                continue;
            if (!fits(p.offset, p.filesz, file.size()))
                return fail(errc::truncated, "core.segment", p.offset);
            auto const content = file.subspan(static_cast<std::size_t>(p.offset), static_cast<std::size_t>(p.filesz));
            if (p.type == elf::pt_note) {
                KTSTR_CHECK(out.read_notes(content));
                continue;
            }
            if (p.filesz > p.memsz || !fits(p.paddr, p.memsz, std::uint64_t{1} << 52) ||
                !fits(p.vaddr, p.memsz == 0 ? 0 : p.memsz - 1, ~std::uint64_t{0}))
                return fail(errc::bad_format, "core.segment.size", p.paddr);
            if (p.memsz != 0)
                out.segments_.push_back({gpa{p.paddr}, gva{p.vaddr}, p.memsz, content});
        }
        KTSTR_CHECK(out.settle());
        return out;
    }

    /// Registers, RAM regions, cause and times; a foreign core leaves most of it empty.
    [[nodiscard]] kept_header const& header() const noexcept { return header_; }
    /// Whether the core holds our own notes.
    [[nodiscard]] bool has_own_notes() const noexcept { return own_; }
    /// In file order.
    [[nodiscard]] std::span<core_segment const> segments() const noexcept { return segments_; }

    /// `n` bytes at `at` as they lie in the file. `errc::out_of_range` when no single segment holds them all.
    [[nodiscard]] result<std::span<std::byte const>> slice(gpa at, std::uint64_t n) const noexcept {
        for (auto const& s : segments_)
            if (at >= s.physical && fits(at - s.physical, n, s.content.size()))
                return s.content.subspan(static_cast<std::size_t>(at - s.physical), static_cast<std::size_t>(n));
        return fail(errc::out_of_range, "core.slice", at.raw);
    }

    /// Copies memory from physical address `at`; across segments that touch. `errc::out_of_range` with the first address
    /// that is not there.
    [[nodiscard]] result<> read(gpa at, std::span<std::byte> out) const noexcept {
        return copy(at.raw, out, [](core_segment const& s) { return s.physical.raw; });
    }
    /// The same from the virtual addresses that the core gives to its segments; no page tables are walked.
    [[nodiscard]] result<> read(gva at, std::span<std::byte> out) const noexcept {
        return copy(at.raw, out, [](core_segment const& s) { return s.address.raw; });
    }

private:
    template <class Start>
    [[nodiscard]] result<> copy(std::uint64_t at, std::span<std::byte> out, Start start) const noexcept {
        while (!out.empty()) {
            auto const s = std::find_if(segments_.begin(), segments_.end(),
                                        [&](core_segment const& c) { return at >= start(c) && at - start(c) < c.size; });
            if (s == segments_.end())
                return fail(errc::out_of_range, "core.read", at);
            auto const inside = at - start(*s);
            auto const n = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), s->size - inside));
            auto const stored = inside < s->content.size()
                                    ? std::min(n, s->content.size() - static_cast<std::size_t>(inside))
                                    : std::size_t{0};
            if (stored != 0)
                std::memcpy(out.data(), s->content.data() + inside, stored);
            std::fill(out.begin() + static_cast<std::ptrdiff_t>(stored), out.begin() + static_cast<std::ptrdiff_t>(n), std::byte{0});
            out = out.subspan(n);
            at += n;
        }
        return {};
    }

    [[nodiscard]] result<std::size_t> read_ehdr(std::span<std::byte const> file) {
        reader in(file, "core.header");
        KTSTR_TRY(auto const h, in.get<elf::ehdr>());
        if (!std::equal(elf::magic.begin(), elf::magic.end(), h.ident.begin()))
            return fail(errc::bad_format, "core.magic");
        if (h.ident[4] != elf::class_64 || h.ident[5] != elf::data_little)
            return fail(errc::unsupported, "core.class", h.ident[4]);
        if (h.type != elf::et_core)
            return fail(errc::bad_format, "core.type", h.type);
        if (h.phoff != sizeof(elf::ehdr) || h.phentsize != sizeof(elf::phdr))
            return fail(errc::unsupported, "core.phoff", h.phoff);
        if (h.phnum == 0xffff) // PN_XNUM: the number is elsewhere
            return fail(errc::unsupported, "core.phnum", h.phnum);
        layout_ = elf::find_core_layout(h.machine);
        if (layout_ == nullptr && h.machine != 0)
            return fail(errc::unsupported, "core.machine", h.machine);
        return std::size_t{h.phnum};
    }

    [[nodiscard]] result<> read_notes(std::span<std::byte const> data) {
        reader in(data, "core.notes");
        auto const padded = [](std::uint32_t n) { return (std::uint64_t{n} + 3) / 4 * 4; };
        while (in.remaining() >= sizeof(elf::nhdr)) {
            KTSTR_TRY(auto const head, in.get<elf::nhdr>());
            KTSTR_TRY(auto const name, in.take(padded(head.namesz)));
            // The last note may lack its padding.
            KTSTR_TRY(auto const whole, in.take(std::min<std::uint64_t>(padded(head.descsz), std::max<std::uint64_t>(in.remaining(), head.descsz))));
            auto owner = std::string_view(reinterpret_cast<char const*>(name.data()), head.namesz);
            owner = owner.substr(0, owner.find('\0'));
            KTSTR_CHECK(read_note(owner, head.type, whole.first(head.descsz)));
        }
        return {};
    }

    [[nodiscard]] result<> read_note(std::string_view owner, std::uint32_t type, std::span<std::byte const> content) {
        if (owner == "VMCOREINFO" && type == elf::nt_vmcoreinfo) {
            header_.vmcoreinfo.assign(reinterpret_cast<char const*>(content.data()), content.size());
        } else if (owner == core_note_owner && type == core_note_header) {
            KTSTR_TRY(auto decoded, decode_header(content));
            std::swap(decoded.vmcoreinfo, header_.vmcoreinfo);
            header_ = std::move(decoded);
            own_ = true;
        } else if (owner == core_note_owner && type == core_note_vcpu) {
            KTSTR_TRY(auto cpu, decode_vcpu(content));
            own_cpus_.push_back(std::move(cpu));
        } else if (owner == "CORE" && type == elf::nt_prstatus && layout_ != nullptr) {
            if (content.size() < layout_->prstatus_size())
                return fail(errc::truncated, "core.prstatus", content.size());
            vcpu_record cpu;
            cpu.index = static_cast<std::uint32_t>(foreign_cpus_.size());
            reader in(content.subspan(sizeof(elf::prstatus_head)), "core.prstatus");
            for (auto const& r : layout_->registers) {
                KTSTR_TRY(auto const value, in.get<le64>());
                if (r.name != "orig_rax")
                    cpu.registers.push_back({std::string(r.name), register_group::general, value});
            }
            foreign_cpus_.push_back(std::move(cpu));
        }
        return {};
    }

    /// Registers from whichever notes there are; RAM from the segments when our header does not name it.
    [[nodiscard]] result<> settle() {
        header_.vcpus = own_ ? std::move(own_cpus_) : std::move(foreign_cpus_);
        if (own_)
            return {};
        if (layout_ != nullptr)
            header_.arch = layout_->arch;
        for (auto const& s : segments_)
            header_.ram.push_back({{s.physical, bytes{s.size}}, 0, bytes{0}});
        // Segments may show the same RAM twice (kernel image and direct map): the larger one counts.
        std::sort(header_.ram.begin(), header_.ram.end(), [](ram_region const& a, ram_region const& b) {
            return a.range.start != b.range.start ? a.range.start < b.range.start : a.range.size > b.range.size;
        });
        std::uint64_t end = 0;
        std::erase_if(header_.ram, [&end](ram_region const& r) {
            if (r.range.end().raw <= end)
                return true;
            end = r.range.end().raw;
            return false;
        });
        return check_regions(header_.ram);
    }

    kept_header header_;
    std::vector<core_segment> segments_;
    std::vector<vcpu_record> own_cpus_, foreign_cpus_;
    elf::core_layout const* layout_ = nullptr;
    bool own_ = false;
};

} // namespace ktstr
