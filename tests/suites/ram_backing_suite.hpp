// SPDX-License-Identifier: Apache-2.0
/// \file
/// What every model of `RamBacking` gives: zeroed, page-aligned, writable memory of exactly the size asked for.
#pragma once

#include "ktstr/mem/mmap_memory.hpp"

#include <algorithm>
#include <cstdint>
#include <doctest/doctest.h>

/// `size` is a size the model accepts. False when the machine has no such memory, which the caller must account for.
template <ktstr::RamBacking B>
[[nodiscard]] bool ram_backing_suite(ktstr::bytes size) {
    using namespace ktstr;
    static_assert(explain_ram_backing<B>());
    auto first = B::make(size);
    if (!first) {
        CHECK(first.error().os_errno == ENOMEM);
        return false;
    }
    REQUIRE(first->size() == size.raw);
    CHECK(reinterpret_cast<std::uintptr_t>(first->data()) % 4096 == 0);
    CHECK(std::ranges::all_of(first->span(), [](std::byte b) { return b == std::byte{0}; }));
    std::ranges::fill(first->span(), std::byte{0xa5});
    auto const second = B::make(size);
    if (second) { // two machines share nothing
        CHECK(second->data() != first->data());
        CHECK(second->span()[size.raw - 1] == std::byte{0});
    }
    CHECK(B::make(bytes{0}).error().code != errc{});
    return true;
}
