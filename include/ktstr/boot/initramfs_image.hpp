// SPDX-License-Identifier: Apache-2.0
/// \file
/// A packed initramfs ready for a guest, and putting it into guest RAM (the `InitramfsPlacement` policy).
///
///     base: packed archive, zeros up to a page | suffix: small uncompressed archive
/// The kernel is told one range that holds both. The base may be a file mapping, so that the guest's pages are the
/// host's page cache until somebody writes to them.
///
/// Contract of `InitramfsPlacement`: `static result<std::uint64_t> put_base(std::span<std::byte> to, initramfs_image
/// const&)` makes `to` (page-aligned host memory of the guest, as long as the base) read like the base and returns how
/// many bytes were copied; called once per machine, before a vCPU runs. Models: `copy_placement`, `map_placement`.
/// Suite: tests/suites/initramfs_placement_suite.hpp.
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
#include <cstring>
#include <span>
#include <sys/mman.h>
#include <utility>
#include <vector>

namespace ktstr {

inline constexpr std::uint64_t initramfs_page = 4096;

/// A base part shared between runs and a suffix of one run.
struct initramfs_image {
    unique_fd file; ///< The cache file whose first `base.size()` bytes are the base; none when it lives in memory only.
    mapping base_map;
    std::span<std::byte const> base; ///< Inside `base_map`; a multiple of 4096 long; zeros at its end.
    std::vector<std::byte> suffix; ///< Uncompressed; its size is a multiple of 4.
    bytes unpacked_base{}; ///< What the base's archive takes before packing.

    /// What the kernel is told: base and suffix together.
    [[nodiscard]] bytes total() const noexcept { return bytes{base.size() + suffix.size()}; }
    /// About what the unpacked files take in the guest.
    [[nodiscard]] bytes unpacked() const noexcept { return bytes{unpacked_base.raw + suffix.size()}; }
};

/// An image whose base lives in anonymous memory: `packed` with zeros up to the next page.
[[nodiscard]] inline result<initramfs_image> make_initramfs_image(std::span<std::byte const> packed, bytes unpacked,
                                                                  std::vector<std::byte> suffix) {
    auto const padded = align_up(packed.size(), initramfs_page);
    if (!padded || *padded == 0)
        return fail(errc::invalid_argument, "initramfs.base", packed.size());
    initramfs_image out;
    KTSTR_TRY(out.base_map, mapping::map(*padded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS));
    std::memcpy(out.base_map.data(), packed.data(), packed.size());
    out.base = out.base_map.span();
    out.suffix = std::move(suffix);
    out.unpacked_base = unpacked;
    return out;
}

/// Where the RAM of a machine goes while its kernel unpacks the initramfs; printed when it does not fit.
struct initramfs_budget {
    bytes ram{}; ///< All RAM of the guest.
    bytes kernel{}; ///< The kernel's image with its bss.
    bytes packed{}; ///< The image as loaded; the kernel frees it only after unpacking all of it.
    bytes unpacked{}; ///< The files, as page cache in the guest.
    bytes reserve{32 * MiB}; ///< What a distribution kernel takes for itself on the way to pid 1.

    [[nodiscard]] constexpr bytes needed() const noexcept {
        return bytes{kernel.raw + packed.raw + unpacked.raw + reserve.raw};
    }
    [[nodiscard]] constexpr bool fits() const noexcept { return needed().raw <= ram.raw; }
};

/// The highest page-aligned address inside one RAM region where `total` bytes fit between `floor` (the end of what is
/// loaded already) and `ceiling`. `errc::no_space` with the size when there is none.
[[nodiscard]] constexpr result<gpa> choose_initramfs_gpa(std::span<ram_region const> regions, bytes total, gpa floor,
                                                         gpa ceiling) noexcept {
    gpa best{};
    bool found = false;
    for (auto const& r : regions) {
        auto const low = floor > r.range.start ? floor : r.range.start;
        auto const high = ceiling < r.range.end() ? ceiling : r.range.end();
        if (high <= low || high - low < total.raw)
            continue;
        auto const at = gpa{align_down(high.raw - total.raw, initramfs_page)};
        if (at >= low && (!found || at > best)) {
            best = at;
            found = true;
        }
    }
    if (!found)
        return fail(errc::no_space, "initramfs.place", total.raw);
    return best;
}

namespace detail {
template <class P>
concept initramfs_placement_put = requires(std::span<std::byte> to, initramfs_image const& image) {
    { P::put_base(to, image) } -> std::same_as<result<std::uint64_t>>;
};
} // namespace detail

/// How the base gets into guest RAM; see the contract at the top of this file.
template <class P>
concept InitramfsPlacement = detail::initramfs_placement_put<P>;

/// Fails to compile with one sentence per requirement that `P` misses.
template <class P>
consteval bool explain_initramfs_placement() {
    static_assert(detail::initramfs_placement_put<P>,
                  "InitramfsPlacement: missing `static result<uint64_t> put_base(std::span<std::byte>, initramfs_image const&)`");
    return InitramfsPlacement<P>;
}

/// Copies: works with every RAM backing.
struct copy_placement {
    [[nodiscard]] static result<std::uint64_t> put_base(std::span<std::byte> to, initramfs_image const& image) noexcept {
        std::memcpy(to.data(), image.base.data(), image.base.size());
        return image.base.size();
    }
};
static_assert(InitramfsPlacement<copy_placement>);

/// Maps the cache file's pages privately over the guest's RAM, copying nothing; an image without a file is copied.
/// For RAM that nobody else maps: with a shared backing (memfd) the range leaves that backing, and with hugetlb the call
/// fails and the base is copied. Cache files are replaced by rename and never written, so the pages cannot change.
struct map_placement {
    [[nodiscard]] static result<std::uint64_t> put_base(std::span<std::byte> to, initramfs_image const& image) noexcept {
        auto const address = reinterpret_cast<std::uintptr_t>(to.data());
        if (!image.file || address % initramfs_page != 0)
            return copy_placement::put_base(to, image);
        void* const at = ::mmap(to.data(), to.size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE,
                                image.file.get(), 0);
        if (at == MAP_FAILED)
            return copy_placement::put_base(to, image);
        return std::uint64_t{0};
    }
};
static_assert(InitramfsPlacement<map_placement>);

/// Where an initramfs ended up.
struct placed_initramfs {
    gpa_range range{}; ///< What the boot parameters say: start and exact length.
    bytes copied{};
    bytes mapped{};
};

/// Puts `image` at `at` (page-aligned): the base through `Placement`, the suffix by copying.
/// `errc::invalid_argument` when `at` is not aligned, `errc::out_of_range` when the range is not RAM; guest memory is
/// then unchanged.
template <InitramfsPlacement Placement, GuestMemory Memory>
[[nodiscard]] result<placed_initramfs> place_initramfs(Memory const& memory, gpa at, initramfs_image const& image) {
    if (at.raw % initramfs_page != 0)
        return fail(errc::invalid_argument, "initramfs.gpa", at.raw);
    KTSTR_TRY(auto const room, memory.slice(at, image.total().raw));
    KTSTR_TRY(auto const copied, Placement::put_base(room.first(image.base.size()), image));
    if (!image.suffix.empty())
        std::memcpy(room.data() + image.base.size(), image.suffix.data(), image.suffix.size());
    return placed_initramfs{{at, image.total()},
                            bytes{copied + image.suffix.size()},
                            bytes{image.base.size() - copied}};
}

} // namespace ktstr
