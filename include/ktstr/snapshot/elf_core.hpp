// SPDX-License-Identifier: Apache-2.0
/// \file
/// `SnapshotSink` model that writes an ELF-64 vmcore for drgn, crash and gdb.
///
///     +--------------------------+
///     | ELF header, ET_CORE      |
///     | program headers          |   PT_NOTE, then PT_LOADs
///     | notes                    |   a vCPU: NT_PRSTATUS, NT_FPREGSET, ours; then VMCOREINFO
///     +--------------------------+   page-aligned
///     | RAM region 0             |   sparse: pages that were never put are holes
///     | RAM region 1 ...         |
///     +--------------------------+
///
/// Each RAM region is one PT_LOAD whose p_paddr is its guest physical address. When the place of the kernel is known,
/// p_vaddr is its address in the direct map, and one more PT_LOAD in front shows the kernel image at its own virtual
/// address from the same bytes of the file (what /proc/vmcore does); otherwise p_vaddr is 0. Sections other than "ram"
/// have no room in this format and are left out. What NT_PRSTATUS cannot hold (control registers, times, cause) is in
/// notes of our own, owner "KTSTR", which other readers skip.
#pragma once

#include "ktstr/abi/elf_core.hpp"
#include "ktstr/base/checked.hpp"
#include "ktstr/base/cursor.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/snapshot/kept_header.hpp"
#include "ktstr/snapshot/sink.hpp"
#include "ktstr/sys/io.hpp"
#include "ktstr/sys/publish.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <vector>

namespace ktstr {

inline constexpr std::string_view core_note_owner = "KTSTR";
inline constexpr std::uint32_t core_note_header = 0x4b545301; ///< Content: the header block of kept_header.hpp.
inline constexpr std::uint32_t core_note_vcpu = 0x4b545302;   ///< Content: the vCPU block.

namespace detail {

/// Appends one note.
inline void append_note(std::vector<std::byte>& out, std::string_view owner, std::uint32_t type,
                        std::span<std::byte const> content) {
    elf::nhdr const head{static_cast<std::uint32_t>(owner.size() + 1), static_cast<std::uint32_t>(content.size()), type};
    auto const add = [&](std::span<std::byte const> data, std::size_t padded) {
        out.insert(out.end(), data.begin(), data.end());
        out.resize(out.size() + (padded - data.size()));
    };
    auto const padded = [](std::size_t n) { return (n + 3) / 4 * 4; };
    add(bytes_of(head), sizeof head);
    add(std::as_bytes(std::span(owner.data(), owner.size())), padded(owner.size() + 1));
    add(content, padded(content.size()));
}

/// The NT_PRSTATUS content of `cpu`.
[[nodiscard]] inline std::vector<std::byte> make_prstatus(elf::core_layout const& layout, vcpu_record const& cpu) {
    elf::prstatus_head head{};
    head.pid = cpu.index + 1; // 0 would be "no thread" to debuggers
    std::vector<std::byte> out(layout.prstatus_size());
    writer to(out, "core.prstatus");
    auto fits_by_layout = to.put(head);
    for (auto const& r : layout.registers) {
        auto const otherwise = r.name == "orig_rax" ? ~std::uint64_t{0} : cpu.value(r.other);
        fits_by_layout = to.put(le64(cpu.value(r.name, otherwise)));
    }
    bool const fpu = layout.fpu_size != 0 && cpu.fpu.size() >= layout.fpu_size;
    fits_by_layout = to.put(le32(fpu ? 1 : 0));
    static_cast<void>(fits_by_layout);
    return out;
}

/// All notes of a core. An architecture without a layout gets no NT_PRSTATUS.
[[nodiscard]] inline std::vector<std::byte> make_core_notes(snapshot_header const& h, elf::core_layout const* layout) {
    std::vector<std::byte> out;
    for (auto const& cpu : h.vcpus) {
        if (layout == nullptr)
            continue;
        append_note(out, "CORE", elf::nt_prstatus, make_prstatus(*layout, cpu));
        if (layout->fpu_size != 0 && cpu.fpu.size() >= layout->fpu_size)
            append_note(out, "CORE", elf::nt_fpregset, std::span(cpu.fpu).first(layout->fpu_size));
    }
    if (!h.vmcoreinfo.empty())
        append_note(out, "VMCOREINFO", elf::nt_vmcoreinfo, std::as_bytes(std::span(h.vmcoreinfo.data(), h.vmcoreinfo.size())));
    append_note(out, core_note_owner, core_note_header, encode_header(h));
    for (auto const& cpu : h.vcpus)
        append_note(out, core_note_owner, core_note_vcpu, encode_vcpu(cpu));
    return out;
}

/// A core's first bytes (headers and notes) and where each RAM region goes behind them.
struct core_plan {
    std::vector<std::byte> head;
    std::vector<std::uint64_t> offsets; ///< File offset of each RAM region.
    std::uint64_t size = 0;             ///< Of the whole file.
};

/// The file range of the kernel image, if it lies in one region.
[[nodiscard]] inline std::optional<elf::phdr> kernel_segment(snapshot_header const& h, core_plan const& plan) {
    auto const& k = h.kernel;
    for (std::size_t i = 0; i < h.ram.size(); ++i) {
        auto const& range = h.ram[i].range;
        if (k.text_virtual == 0 || k.text_size == 0 || !range.contains(gpa{k.text_physical}))
            continue;
        auto const at = k.text_physical - range.start.raw;
        auto const n = std::min({k.text_size, range.size.raw - at, 0 - k.text_virtual});
        return elf::phdr{elf::pt_load, elf::pf_rwx, plan.offsets[i] + at, k.text_virtual, k.text_physical, n, n, 4096};
    }
    return std::nullopt;
}

/// Lays out the core of `h`. `errc::unsupported` for an architecture without a layout ("" has no registers and passes).
[[nodiscard]] inline result<core_plan> plan_core(snapshot_header const& h) {
    constexpr std::uint64_t page = 4096;
    auto const* const layout = elf::find_core_layout(h.arch);
    if (layout == nullptr && !h.arch.empty())
        return fail(errc::unsupported, "core.arch");
    KTSTR_CHECK(check_regions(h.ram));
    if (h.ram.size() > 0xff00)
        return fail(errc::unsupported, "core.regions", h.ram.size());

    auto const notes = make_core_notes(h, layout);
    core_plan out;
    auto const count = 2 + h.ram.size(); // an unused kernel segment costs 56 bytes of padding
    auto const notes_at = sizeof(elf::ehdr) + count * sizeof(elf::phdr);
    std::uint64_t at = (notes_at + notes.size() + page - 1) / page * page;
    for (auto const& r : h.ram) {
        out.offsets.push_back(at);
        at += (r.range.size.raw + page - 1) / page * page; // below 2^52 each: no overflow in any real list
    }
    if (at >= std::uint64_t{1} << 62)
        return fail(errc::out_of_range, "core.size", at);
    out.size = at;

    std::vector<elf::phdr> table;
    table.push_back({elf::pt_note, 0U, notes_at, 0U, 0U, notes.size(), notes.size(), 4U});
    if (auto const kernel = kernel_segment(h, out))
        table.push_back(*kernel);
    for (std::size_t i = 0; i < h.ram.size(); ++i) {
        auto const start = h.ram[i].range.start.raw;
        auto const n = h.ram[i].range.size.raw;
        table.push_back({elf::pt_load, elf::pf_rwx, out.offsets[i], h.kernel.direct_map == 0 ? 0 : h.kernel.direct_map + start,
                         start, n, n, page});
    }
    elf::ehdr head{};
    std::copy(elf::magic.begin(), elf::magic.end(), head.ident.begin());
    head.ident[4] = elf::class_64;
    head.ident[5] = elf::data_little;
    head.ident[6] = 1;
    head.type = elf::et_core;
    head.machine = layout != nullptr ? layout->machine : std::uint16_t{0};
    head.version = 1;
    head.phoff = sizeof(elf::ehdr);
    head.ehsize = sizeof(elf::ehdr);
    head.phentsize = sizeof(elf::phdr);
    head.phnum = static_cast<std::uint16_t>(table.size());

    out.head.resize(notes_at + notes.size());
    std::memcpy(out.head.data(), &head, sizeof head);
    std::memcpy(out.head.data() + sizeof head, table.data(), table.size() * sizeof(elf::phdr));
    std::memcpy(out.head.data() + notes_at, notes.data(), notes.size());
    return out;
}

} // namespace detail

/// Writes each snapshot as a vmcore under a name that is asked for anew at each `begin`; appears whole or not at all.
class elf_core_sink {
public:
    static constexpr bool incremental = false;

    /// Every snapshot goes to `path`, the last one stays.
    explicit elf_core_sink(std::string path, mode_t mode = 0600) noexcept : path_(std::move(path)), mode_(mode) {}

    /// The name of the next snapshot's file; effective from the next `begin` on.
    void set_path(std::string path) noexcept { path_ = std::move(path); }

    [[nodiscard]] result<> begin(snapshot_header const& h) {
        abort();
        KTSTR_TRY(auto plan, detail::plan_core(h));
        KTSTR_TRY(auto file, publication::open(path_, mode_));
        KTSTR_CHECK(pwrite_all(file.fd(), plan.head, 0));
        // The size first: what is never put stays a hole.
        if (::ftruncate(file.fd(), static_cast<off_t>(plan.size)) != 0)
            return os_fail("core.ftruncate", plan.size);
        file_.emplace(std::move(file));
        ram_.assign(h.ram.begin(), h.ram.end());
        offsets_ = std::move(plan.offsets);
        return {};
    }

    [[nodiscard]] result<> put(snapshot_section const& section, std::span<std::byte const> data) {
        if (!file_)
            return fail(errc::invalid_argument, "core.put_without_begin");
        if (section.name != "ram")
            return {};
        auto at = gpa{section.offset};
        for (std::size_t i = 0; i < ram_.size() && !data.empty(); ++i) {
            auto const& range = ram_[i].range;
            if (!range.contains(at))
                continue;
            auto const inside = at - range.start;
            auto const n = std::min<std::uint64_t>(data.size(), range.size.raw - inside);
            KTSTR_CHECK(pwrite_all(file_->fd(), data.first(static_cast<std::size_t>(n)), offsets_[i] + inside));
            data = data.subspan(static_cast<std::size_t>(n));
            at = at + n;
        }
        if (!data.empty())
            return fail(errc::out_of_range, "core.ram", at.raw);
        return {};
    }

    [[nodiscard]] result<> commit() {
        if (!file_)
            return fail(errc::invalid_argument, "core.commit_without_begin");
        auto const done = file_->commit();
        file_.reset();
        return done;
    }

    void abort() noexcept { file_.reset(); }

private:
    std::string path_;
    mode_t mode_;
    std::optional<publication> file_;
    std::vector<ram_region> ram_;
    std::vector<std::uint64_t> offsets_;
};
static_assert(SnapshotSink<elf_core_sink>);

} // namespace ktstr
