// SPDX-License-Identifier: Apache-2.0
/// \file
/// Chooses where a kernel goes when its place is to be random, as the kernel's own decompressor chooses.
///
/// Source: linux 6.12 arch/x86/boot/compressed/kaslr.c: physical and virtual place are drawn apart, both on multiples
/// of the kernel's alignment. Randomness comes from the caller, so that a seed repeats the choice. The kernel
/// randomises its direct map, vmalloc and vmemmap itself, from the CPU, once it sees `kaslr_flag`: that part no seed
/// repeats.
#pragma once

#include "ktstr/base/checked.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/boot/elf_vmlinux.hpp"
#include "ktstr/mem/region.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>

namespace ktstr {

/// Where a kernel may go.
struct kaslr_limits {
    std::span<ram_region const> ram{};       ///< Sorted and disjoint; neighbours count as one piece.
    std::span<gpa_range const> reserved{};   ///< Must stay free: boot tables, command line, initramfs. Any order.
    gpa below{4 * GiB};                      ///< Exclusive end, for what the entry's page tables map.
    bytes alignment{2 * MiB};                ///< `kernel_alignment` of the image: a power of two, at least 2 MiB.
    bytes virtual_space{1 * GiB};            ///< Size of the kernel text mapping (KERNEL_IMAGE_SIZE).
};

/// A place: for `load_options`.
struct kaslr_place {
    gpa phys_base{};
    std::uint64_t virt_offset = 0;
    friend constexpr bool operator==(kaslr_place const&, kaslr_place const&) noexcept = default;
};

namespace detail {
/// The first address at or above `at` that is aligned and where `size` bytes are RAM and free; none: `limits.below`.
[[nodiscard]] inline std::uint64_t next_free_slot(kaslr_limits const& limits, std::uint64_t at, std::uint64_t size) {
    auto const align = limits.alignment.raw;
    for (;;) {
        auto const aligned = align_up(at, align);
        if (!aligned || *aligned >= limits.below.raw || size > limits.below.raw - *aligned)
            return limits.below.raw;
        at = *aligned;
        auto const end = at + size;
        std::uint64_t covered = at; // how far RAM reaches without a gap
        std::uint64_t next_ram = limits.below.raw;
        for (auto const& r : limits.ram) {
            if (r.range.contains(gpa{covered}))
                covered = r.range.end().raw;
            else if (r.range.start.raw > covered)
                next_ram = std::min(next_ram, r.range.start.raw);
        }
        if (covered < end) {
            at = std::max(covered, next_ram);
            continue;
        }
        auto blocked = false;
        for (auto const& r : limits.reserved)
            if (r.size.raw != 0 && r.start.raw < end && at < r.end().raw) {
                at = r.end().raw;
                blocked = true;
                break;
            }
        if (!blocked)
            return at;
    }
}
} // namespace detail

/// A place for `image` drawn by the two random words: physically at or above where it was linked for, virtually
/// anywhere in the text mapping. `errc::no_space` with the image's size when there is no room,
/// `errc::invalid_argument` for an alignment that is no power of two or below 2 MiB.
[[nodiscard]] inline result<kaslr_place> choose_kaslr(vmlinux_image const& image, kaslr_limits const& limits,
                                                      std::uint64_t phys_random, std::uint64_t virt_random) {
    auto const align = limits.alignment.raw;
    auto const size = image.extent.size.raw;
    if (!std::has_single_bit(align) || align < 2 * MiB || image.extent.start.raw % align != 0)
        return fail(errc::invalid_argument, "kaslr.alignment", align);
    std::uint64_t slots = 0;
    auto const first = image.extent.start.raw;
    for (auto at = first; (at = detail::next_free_slot(limits, at, size)) < limits.below.raw; at += align)
        ++slots;
    if (slots == 0)
        return fail(errc::no_space, "kaslr.phys", size);
    if (!fits(first, size, limits.virtual_space.raw))
        return fail(errc::no_space, "kaslr.virt", size);

    auto chosen = detail::next_free_slot(limits, first, size);
    for (auto skip = phys_random % slots; skip > 0; --skip)
        chosen = detail::next_free_slot(limits, chosen + align, size);
    auto const virtual_slots = (limits.virtual_space.raw - first - size) / align + 1;
    return kaslr_place{gpa{chosen}, virt_random % virtual_slots * align};
}

} // namespace ktstr
