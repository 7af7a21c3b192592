// SPDX-License-Identifier: Apache-2.0
/// \file
/// Production guest memory: regions over one mapping whose kind is a policy (`RamBacking`).
///
/// Contract of `RamBacking`: `static result<mapping> make(bytes)` returns zeroed, page-aligned memory of exactly that
/// size; called once per machine before any vCPU exists. Models: `anonymous_ram`, `memfd_ram`, `hugetlb_ram` (2 MiB
/// pages; fails with `errc::os`/ENOMEM when the pool is too small). Suite: tests/suites/ram_backing_suite.hpp.
#pragma once

#include "ktstr/base/checked.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/mem/guest_memory.hpp"
#include "ktstr/mem/region.hpp"
#include "ktstr/sys/fd.hpp"
#include "ktstr/sys/mapping.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <unistd.h>
#include <utility>
#include <vector>

namespace ktstr {

namespace detail {
template <class B>
concept ram_backing_make = requires(bytes n) {
    { B::make(n) } -> std::same_as<result<mapping>>;
};
} // namespace detail

/// Where guest RAM comes from; see the contract at the top of this file.
template <class B>
concept RamBacking = detail::ram_backing_make<B>;

/// Fails to compile with one sentence per requirement that `B` misses.
template <class B>
consteval bool explain_ram_backing() {
    static_assert(detail::ram_backing_make<B>, "RamBacking: missing `static result<mapping> make(bytes)`");
    return RamBacking<B>;
}

/// Private anonymous memory with transparent huge pages asked for: the fastest to fault in.
struct anonymous_ram {
    [[nodiscard]] static result<mapping> make(bytes size) noexcept {
        KTSTR_TRY(auto out, mapping::map(size.raw, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE));
        ::madvise(out.data(), out.size(), MADV_HUGEPAGE);
        return out;
    }
};
static_assert(RamBacking<anonymous_ram>);

/// A shared memfd: another process, or a later clone, can map the same pages.
struct memfd_ram {
    [[nodiscard]] static result<mapping> make(bytes size) noexcept {
        KTSTR_TRY(auto const fd, unique_fd::memfd("ktstr-ram"));
        if (::ftruncate(fd.get(), static_cast<off_t>(size.raw)) != 0)
            return os_fail("ftruncate", size.raw);
        return mapping::map(size.raw, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd.get());
    }
};
static_assert(RamBacking<memfd_ram>);

/// 2 MiB huge pages from the host's pool; sizes that are no multiple of 2 MiB are refused.
struct hugetlb_ram {
    [[nodiscard]] static result<mapping> make(bytes size) noexcept {
        if (size.raw % (2 * MiB) != 0)
            return fail(errc::invalid_argument, "hugetlb_ram.size", size.raw);
        constexpr int huge_2mib = 21 << 26; // MAP_HUGE_2MB of <linux/mman.h>: log2 of the size at bit 26
        return mapping::map(size.raw, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | huge_2mib);
    }
};
static_assert(RamBacking<hugetlb_ram>);

/// Guest RAM as the VMM owns it: sorted, disjoint regions over one mapping. Movable; slices stay valid across moves.
class mmap_memory {
public:
    mmap_memory() noexcept = default;

    /// Allocates backing for `regions` (sorted, disjoint, backing offsets contiguous: as `lay_out_ram` gives them).
    template <RamBacking Backing = anonymous_ram>
    [[nodiscard]] static result<mmap_memory> make(std::vector<ram_region> regions) {
        std::uint64_t total = 0;
        gpa lowest{};
        for (auto const& r : regions) {
            auto const end = checked_add(r.range.start.raw, r.range.size.raw);
            if (r.backing_offset.raw != total || r.range.size.raw == 0 || r.range.start < lowest || !end)
                return fail(errc::invalid_argument, "mmap_memory.regions", r.range.start.raw);
            total += r.range.size.raw;
            lowest = gpa{*end};
        }
        if (total == 0)
            return fail(errc::invalid_argument, "mmap_memory.size", 0);
        mmap_memory out;
        KTSTR_TRY(out.backing_, Backing::make(bytes{total}));
        out.regions_ = std::move(regions);
        return out;
    }

    [[nodiscard]] std::span<ram_region const> regions() const noexcept { return regions_; }
    /// The host address of a region's first byte.
    [[nodiscard]] std::byte* host(ram_region const& r) const noexcept { return backing_.data() + r.backing_offset.raw; }
    /// All RAM together in bytes.
    [[nodiscard]] bytes size() const noexcept { return bytes{backing_.size()}; }

    /// As the contract of `GuestMemory` says; regions that touch in guest physical space touch in the backing too.
    [[nodiscard]] result<std::span<std::byte>> slice(gpa at, std::uint64_t n) const noexcept {
        for (std::size_t i = 0; i < regions_.size(); ++i) {
            auto const& r = regions_[i];
            if (at < r.range.start || at - r.range.start > r.range.size.raw)
                continue;
            auto run = r.range.size.raw;
            for (auto k = i + 1; k < regions_.size() && regions_[k].range.start == regions_[k - 1].range.end(); ++k)
                run += regions_[k].range.size.raw;
            if (fits(at - r.range.start, n, run))
                return std::span(host(r) + (at - r.range.start), static_cast<std::size_t>(n));
        }
        return fail(errc::out_of_range, "guest_memory", at.raw);
    }

private:
    mapping backing_;
    std::vector<ram_region> regions_;
};
static_assert(GuestMemory<mmap_memory>);

} // namespace ktstr
