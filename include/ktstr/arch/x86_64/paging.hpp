// SPDX-License-Identifier: Apache-2.0
/// \file
/// Page walks of x86_64 guests: from a virtual to a physical address through the guest's own tables, 4 or 5 levels, pages
/// of 4 KiB, 2 MiB and 1 GiB.
///
/// Source: Intel SDM volume 3A, 4.5 "4-level paging and 5-level paging"; AMD APM volume 2, 5.3.
/// The guest may change its tables while they are read: each entry is loaded once, the depth is fixed, and ranges have a
/// budget. Permissions are those of all levels together. Protection keys and nested tables play no role.
#pragma once

#include "ktstr/base/checked.hpp"
#include "ktstr/base/endian.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/mem/guest_memory.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <type_traits>
#include <utility>

namespace ktstr {

namespace x86 {
inline constexpr std::uint64_t cr4_la57 = 1U << 12;
inline constexpr std::uint64_t page_present = 1, page_writable = 2, page_user = 4, page_large = 1U << 7;
inline constexpr std::uint64_t page_no_execute = std::uint64_t{1} << 63;
inline constexpr std::uint64_t page_address = 0x000f'ffff'ffff'f000; ///< Bits 51:12 of an entry.
inline constexpr std::uint64_t cr3_user_table = 1U << 12; ///< Linux with page table isolation: set in CR3 while user code runs.
} // namespace x86

/// Which tables a processor uses.
struct x86_page_tables {
    gpa root{};        ///< The top table, 4 KiB aligned.
    bool la57 = false; ///< Five levels.

    /// As the control registers have it: the PCID and cache bits of CR3 are dropped.
    [[nodiscard]] static constexpr x86_page_tables from_registers(std::uint64_t cr3, std::uint64_t cr4) noexcept {
        return {gpa{cr3 & x86::page_address}, (cr4 & x86::cr4_la57) != 0};
    }
    [[nodiscard]] constexpr int levels() const noexcept { return la57 ? 5 : 4; }
    friend constexpr bool operator==(x86_page_tables const&, x86_page_tables const&) noexcept = default;
};

/// Where one virtual address leads.
struct x86_translation {
    gpa address{};               ///< Of the very byte that was asked for.
    std::uint64_t page_size = 0; ///< 4 KiB, 2 MiB or 1 GiB.
    bool writable = false;
    bool user = false;
    bool executable = false;
    friend constexpr bool operator==(x86_translation const&, x86_translation const&) noexcept = default;
};

/// A piece of virtual memory that is mapped to physical memory in one piece and with one set of permissions.
struct x86_mapped_run {
    gva start{};
    gpa address{};
    std::uint64_t size = 0; ///< Bytes.
    bool writable = false;
    bool user = false;
    bool executable = false;
    friend constexpr bool operator==(x86_mapped_run const&, x86_mapped_run const&) noexcept = default;
};

namespace detail {
/// Bits of a virtual address below what table level `level` (1 is the lowest) decides.
[[nodiscard]] constexpr unsigned x86_page_shift(int level) noexcept { return 12U + 9U * static_cast<unsigned>(level - 1); }

[[nodiscard]] constexpr bool x86_is_canonical(gva at, int levels) noexcept {
    auto const bits = x86_page_shift(levels) + 9;
    auto const upper = at.raw >> (bits - 1);
    return upper == 0 || upper == ~std::uint64_t{0} >> (bits - 1);
}

/// What an entry at `level` says; permissions of the levels above are in `out` already. True when it is a page.
[[nodiscard]] constexpr result<bool> x86_take_entry(std::uint64_t entry, int level, gva at, x86_translation& out) noexcept {
    if ((entry & x86::page_present) == 0)
        return fail(errc::not_found, "paging.not_present", at.raw);
    out.writable = out.writable && (entry & x86::page_writable) != 0;
    out.user = out.user && (entry & x86::page_user) != 0;
    out.executable = out.executable && (entry & x86::page_no_execute) == 0;
    auto const leaf = level == 1 || (entry & x86::page_large) != 0;
    if (!leaf) {
        out.address = gpa{entry & x86::page_address};
        return false;
    }
    if (level > 3)
        return fail(errc::bad_format, "paging.reserved", at.raw);
    out.page_size = std::uint64_t{1} << x86_page_shift(level);
    // Bit 12 of a large page is its PAT bit; the rest up to the page's size must be 0.
    auto const pat = level > 1 ? std::uint64_t{0x1000} : std::uint64_t{0};
    auto const base = entry & x86::page_address & ~pat;
    if (base % out.page_size != 0)
        return fail(errc::bad_format, "paging.reserved", at.raw);
    out.address = gpa{base + (at.raw & (out.page_size - 1))};
    return true;
}
} // namespace detail

/// Where `at` leads. The page itself need not be RAM. `errc::invalid_argument` at "paging.canonical" for an address no
/// table can map, `errc::not_found` at "paging.not_present", `errc::bad_format` at "paging.reserved" for an entry that the
/// processor would refuse: each with the virtual address; `errc::out_of_range` when a table lies outside guest memory.
template <GuestMemory M>
[[nodiscard]] result<x86_translation> translate(M const& memory, x86_page_tables const& tables, gva at) noexcept {
    if (!detail::x86_is_canonical(at, tables.levels()))
        return fail(errc::invalid_argument, "paging.canonical", at.raw);
    x86_translation out{tables.root, 0, true, true, true};
    for (auto level = tables.levels(); level > 0; --level) {
        auto const slot = at.raw >> detail::x86_page_shift(level) & 0x1ffU;
        KTSTR_TRY(auto const entry, load_guest<le64>(memory, out.address + slot * 8));
        KTSTR_TRY(auto const leaf, detail::x86_take_entry(entry, level, at, out));
        if (leaf)
            return out;
    }
    return fail(errc::internal, "paging.depth", at.raw);
}

namespace detail {
/// Walks one table of a range; see `walk_range`.
template <GuestMemory M, class Visit>
class x86_range_walk {
public:
    x86_range_walk(M const& memory, Visit& visit, std::uint64_t budget) noexcept
        : memory_(memory), visit_(visit), budget_(budget) {}

    /// `above` carries the table's address and the permissions so far. `[first, last]` lies in what the table maps.
    [[nodiscard]] result<bool> table(x86_translation const& above, int level, std::uint64_t first, std::uint64_t last) {
        auto const span = std::uint64_t{1} << x86_page_shift(level);
        for (auto at = first;;) {
            if (budget_ == 0)
                return fail(errc::out_of_range, "paging.budget", at);
            --budget_;
            auto const slot = at >> x86_page_shift(level) & 0x1ffU;
            auto const end = std::min(last, at | (span - 1));
            KTSTR_TRY(auto const entry, load_guest<le64>(memory_, above.address + slot * 8));
            if ((entry & x86::page_present) != 0) {
                auto below = above;
                KTSTR_TRY(auto const leaf, x86_take_entry(entry, level, gva{at}, below));
                KTSTR_TRY(auto const go_on, leaf ? result<bool>(page(below, at, end)) : table(below, level - 1, at, end));
                if (!go_on)
                    return false;
            }
            if (end == last)
                return true;
            at = end + 1;
        }
    }
    /// Hands over what is left.
    [[nodiscard]] bool flush() { return run_.size == 0 || visit_(std::as_const(run_)); }

private:
    [[nodiscard]] bool page(x86_translation const& found, std::uint64_t at, std::uint64_t end) {
        x86_mapped_run const next{gva{at}, found.address, end - at + 1, found.writable, found.user, found.executable};
        auto const same = run_.writable == next.writable && run_.user == next.user && run_.executable == next.executable;
        if (run_.size != 0 && same && run_.start + run_.size == next.start && run_.address + run_.size == next.address) {
            run_.size += next.size;
            return true;
        }
        if (run_.size != 0 && !visit_(std::as_const(run_)))
            return stop();
        run_ = next;
        return true;
    }
    [[nodiscard]] bool stop() noexcept {
        run_ = {};
        return false;
    }

    M const& memory_;
    Visit& visit_;
    std::uint64_t budget_;
    x86_mapped_run run_{};
};
} // namespace detail

/// Calls `visit(x86_mapped_run const&)` for what is mapped of `[start, start + size)`, in order, neighbours joined, until
/// it returns false. Holes are passed over. `errc::invalid_argument` at "paging.canonical" when the range is not wholly in
/// one half of the address space, `errc::out_of_range` at "paging.budget" with the address reached after `budget` entries
/// (tables that point to themselves map a lot), and the errors of `translate`; what was mapped before that was visited.
template <GuestMemory M, class Visit>
[[nodiscard]] result<> walk_range(M const& memory, x86_page_tables const& tables, gva start, std::uint64_t size, Visit&& visit,
                                  std::uint64_t budget = 4'000'000) {
    if (size == 0)
        return {};
    auto const last = checked_add(start.raw, size - 1);
    if (!last || !detail::x86_is_canonical(start, tables.levels()) || !detail::x86_is_canonical(gva{*last}, tables.levels()) ||
        start.raw >> 63 != *last >> 63)
        return fail(errc::invalid_argument, "paging.canonical", start.raw);
    detail::x86_range_walk<M, Visit> walk(memory, visit, budget);
    auto const done = walk.table({tables.root, 0, true, true, true}, tables.levels(), start.raw, *last);
    auto const wanted = walk.flush();
    static_cast<void>(wanted);
    if (!done)
        return std::unexpected(done.error());
    return {};
}

} // namespace ktstr
