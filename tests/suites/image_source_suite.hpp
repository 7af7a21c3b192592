// SPDX-License-Identifier: Apache-2.0
/// \file
/// Conformance suite of the `ImageSource` policy. `make(content)` gives a source of exactly these bytes; `content` may
/// have holes in the file behind it.
#pragma once

#include "ktstr/boot/load_vmlinux.hpp"
#include "ktstr/sys/mapping.hpp"

#include <algorithm>
#include <cstddef>
#include <doctest/doctest.h>
#include <span>
#include <vector>

namespace ktstr::test {

template <ImageSource S>
void image_source_suite(S const& source, std::span<std::byte const> content) {
    static_assert(explain_image_source<S>());
    constexpr std::size_t ram_size = 1 << 20;
    REQUIRE(content.size() < ram_size / 2);
    auto const size = content.size();
    for (std::size_t const shift : {std::size_t{0}, std::size_t{1}, std::size_t{4095}})
        for (std::size_t const from : {std::size_t{0}, std::size_t{7}, std::size_t{4096}, std::size_t{5000}})
            for (std::size_t const n : {std::size_t{0}, std::size_t{1}, std::size_t{4096}, std::size_t{12289}, size}) {
                if (from > size || n > size - from)
                    continue;
                auto const ram = mapping::map(ram_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
                REQUIRE(ram);
                std::fill(ram->span().begin(), ram->span().end(), std::byte{0x77});
                auto const to = ram->span().subspan(4096 + shift, n);
                REQUIRE(source.read(to, from));
                CHECK(std::equal(to.begin(), to.end(), content.begin() + static_cast<std::ptrdiff_t>(from)));
                // Not a byte around it changes, and what was read can be written.
                CHECK(std::count(ram->span().begin(), ram->span().begin() + static_cast<std::ptrdiff_t>(4096 + shift),
                                 std::byte{0x77}) == static_cast<std::ptrdiff_t>(4096 + shift));
                CHECK(ram->span()[4096 + shift + n] == std::byte{0x77});
                std::fill(to.begin(), to.end(), std::byte{1});
            }
    std::vector<std::byte> one(2);
    CHECK(source.read(one, size - 1).error().code == errc::truncated);
    CHECK(source.read(one, ~std::uint64_t{0} / 4).error().code == errc::truncated);
    auto const big = mapping::map(ram_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    CHECK(source.read(big->span(), 0).error().code == errc::truncated);

    // The data extents are in order, inside the bounds, and everything between them is zero.
    if constexpr (ktstr::detail::image_source_next_data<S>) {
        for (std::uint64_t at = 0; at < size;) {
            auto const data = source.next_data(at, size);
            REQUIRE(data.start >= at);
            REQUIRE(data.end <= size);
            REQUIRE((data.end > data.start || data.start == size));
            for (auto i = at; i < data.start; ++i)
                CHECK(content[i] == std::byte{0});
            at = data.end;
        }
    }
}

} // namespace ktstr::test
