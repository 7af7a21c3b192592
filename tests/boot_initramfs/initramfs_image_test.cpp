// SPDX-License-Identifier: Apache-2.0
#include "ktstr/boot/initramfs_image.hpp"

#include "suites/initramfs_placement_suite.hpp"

#include <array>
#include <doctest/doctest.h>
#include <vector>

using namespace ktstr;

namespace {
initramfs_image image_of(bool file) {
    std::vector<std::byte> packed(2 * 4096 + 100);
    for (std::size_t i = 0; i < packed.size(); ++i)
        packed[i] = static_cast<std::byte>(i * 7 + 1);
    auto image = make_initramfs_image(packed, bytes{9999}, std::vector<std::byte>(40, std::byte{3}));
    REQUIRE(image);
    CHECK(image->base.size() == 3 * 4096);
    CHECK(image->base.back() == std::byte{0});
    if (file) {
        auto fd = unique_fd::memfd("base");
        REQUIRE(fd);
        REQUIRE(write_all(fd->get(), image->base));
        image->file = *std::move(fd);
    }
    return *std::move(image);
}
} // namespace

namespace {
// [own_placement]
/// Copies, and leaves out pages of zeros: fresh guest RAM reads zero anyway.
struct sparse_placement {
    [[nodiscard]] static result<std::uint64_t> put_base(std::span<std::byte> to, initramfs_image const& image) {
        std::uint64_t copied = 0;
        for (std::size_t at = 0; at < image.base.size(); at += initramfs_page) {
            auto const page = image.base.subspan(at, initramfs_page);
            if (std::ranges::all_of(page, [](std::byte b) { return b == std::byte{0}; }))
                continue;
            std::ranges::copy(page, to.begin() + static_cast<std::ptrdiff_t>(at));
            copied += page.size();
        }
        return copied;
    }
};
static_assert(explain_initramfs_placement<sparse_placement>());
// [/own_placement]
} // namespace

TEST_CASE("InitramfsPlacement: one of your own") {
    auto ram = mapping::map(64 * KiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    REQUIRE(ram);
    auto const image = image_of(false);
    REQUIRE(place_initramfs<sparse_placement>(buffer_memory(ram->span()), gpa{0}, image));
    CHECK(std::ranges::equal(ram->span().first(image.base.size()), image.base));
}

TEST_CASE("InitramfsPlacement: copy_placement") { test::initramfs_placement_suite<copy_placement>(image_of(false)); }
TEST_CASE("InitramfsPlacement: map_placement with a file copies the suffix only") {
    auto const image = image_of(true);
    test::initramfs_placement_suite<map_placement>(image);
    auto ram = mapping::map(64 * KiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    REQUIRE(ram);
    auto const placed = place_initramfs<map_placement>(buffer_memory(ram->span()), gpa{0}, image);
    REQUIRE(placed);
    CHECK(placed->copied == bytes{40});
    CHECK(placed->mapped == bytes{3 * 4096});
}
TEST_CASE("InitramfsPlacement: map_placement without a file copies") {
    test::initramfs_placement_suite<map_placement>(image_of(false));
}

TEST_CASE("choose_initramfs_gpa: the highest place below the ceiling and above what is loaded") {
    std::array const regions{ram_region{{gpa{0}, bytes{3 * GiB}}, 0, {}}, ram_region{{gpa{4 * GiB}, bytes{1 * GiB}}, 0, {}}};
    auto const below_4g = gpa{4 * GiB};
    CHECK(*choose_initramfs_gpa(regions, bytes{5000}, gpa{64 * MiB}, below_4g) == gpa{3 * GiB - 8192});
    CHECK(*choose_initramfs_gpa(regions, bytes{5000}, gpa{64 * MiB}, gpa{5 * GiB}) == gpa{5 * GiB - 8192});
    CHECK(*choose_initramfs_gpa(regions, bytes{4096}, gpa{3 * GiB - 4096}, below_4g) == gpa{3 * GiB - 4096});
    CHECK(choose_initramfs_gpa(regions, bytes{4097}, gpa{3 * GiB - 4097}, below_4g).error().code == errc::no_space);
    CHECK(choose_initramfs_gpa(regions, bytes{4 * GiB}, gpa{0}, gpa{~0ULL}).error().value == 4 * GiB);
    CHECK(choose_initramfs_gpa({}, bytes{1}, gpa{0}, below_4g).error().code == errc::no_space);
}

TEST_CASE("initramfs_budget: adds up and says whether it fits") {
    initramfs_budget b{bytes{256 * MiB}, bytes{60 * MiB}, bytes{4 * MiB}, bytes{8 * MiB}};
    CHECK(b.needed() == bytes{104 * MiB});
    CHECK(b.fits());
    b.ram = bytes{103 * MiB};
    CHECK_FALSE(b.fits());
}
