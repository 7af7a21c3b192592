// SPDX-License-Identifier: Apache-2.0
/// \file
/// Conformance suite of the `InitramfsPlacement` policy: afterwards the guest reads the base, then the suffix, and
/// writing to its RAM changes nothing else.
#pragma once

#include "ktstr/boot/initramfs_image.hpp"
#include "ktstr/sys/io.hpp"

#include <algorithm>
#include <cstddef>
#include <doctest/doctest.h>
#include <span>
#include <sys/mman.h>
#include <vector>

namespace ktstr::test {

template <InitramfsPlacement P>
void initramfs_placement_suite(initramfs_image const& image) {
    static_assert(explain_initramfs_placement<P>());
    auto ram = mapping::map(1 * MiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    REQUIRE(ram);
    std::ranges::fill(ram->span(), std::byte{0x5a});
    auto const base = std::vector<std::byte>(image.base.begin(), image.base.end());
    buffer_memory const memory(ram->span(), gpa{0x100000});
    auto const at = gpa{0x100000 + 5 * 4096};

    CHECK(place_initramfs<P>(memory, at + 1, image).error().code == errc::invalid_argument);
    auto const outside = place_initramfs<P>(memory, gpa{0x100000 + 1 * MiB - 4096}, image);
    CHECK(outside.error().code == errc::out_of_range);
    CHECK(std::ranges::all_of(ram->span(), [](std::byte b) { return b == std::byte{0x5a}; }));

    auto const placed = place_initramfs<P>(memory, at, image);
    REQUIRE(placed);
    CHECK(placed->range == gpa_range{at, image.total()});
    CHECK(placed->copied.raw + placed->mapped.raw == image.total().raw);
    auto const seen = *memory.slice(at, image.total().raw);
    CHECK(std::ranges::equal(seen.first(image.base.size()), base));
    CHECK(std::ranges::equal(seen.subspan(image.base.size()), image.suffix));
    CHECK(ram->span()[5 * 4096 - 1] == std::byte{0x5a});
    CHECK(ram->span()[5 * 4096 + image.total().raw] == std::byte{0x5a});

    std::ranges::fill(seen, std::byte{0});
    CHECK(std::ranges::equal(image.base, base));
    if (image.file) {
        std::vector<std::byte> on_disk(base.size());
        REQUIRE(pread_all(image.file.get(), on_disk, 0));
        CHECK(on_disk == base);
    }
}

} // namespace ktstr::test
