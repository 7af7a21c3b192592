// SPDX-License-Identifier: Apache-2.0
/// \file
/// What every model of `GuestMemory` does at the edges of what it has mapped.
#pragma once

#include "ktstr/mem/guest_memory.hpp"

#include <array>
#include <cstdint>
#include <doctest/doctest.h>
#include <limits>

/// `mapped` is a range that is mapped throughout, with nothing mapped right behind it; size 0 for a model without RAM.
template <ktstr::GuestMemory M>
void guest_memory_suite(M const& memory, ktstr::gpa start, std::uint64_t size) {
    using namespace ktstr;
    static_assert(explain_guest_memory<M>());
    auto const refused = [&](gpa at, std::uint64_t n) {
        auto const got = memory.slice(at, n);
        REQUIRE_FALSE(got);
        CHECK(got.error().code == errc::out_of_range);
        CHECK(got.error().value == at.raw);
    };
    constexpr auto huge = std::numeric_limits<std::uint64_t>::max();
    refused(start, size + 1);
    refused(start, huge);
    refused(gpa{huge}, 1);
    refused(gpa{huge}, huge);
    refused(start + size, 1);
    if (size == 0)
        return;
    if (start.raw > 0)
        refused(gpa{start.raw - 1}, 1);
    refused(start + (size - 1), 2);
    refused(start + 1, size);
    refused(start + 1, huge);

    CHECK(memory.slice(start, 0));
    CHECK(memory.slice(start, 0)->empty());
    auto const whole = memory.slice(start, size);
    REQUIRE(whole);
    REQUIRE(whole->size() == size);
    auto const last = memory.slice(start + (size - 1), 1);
    REQUIRE(last);
    CHECK(last->data() == whole->data() + (size - 1));

    // What is stored through one view is read through every other.
    CHECK(store_guest(memory, start + (size - 8), std::uint64_t{0x1122334455667788}));
    CHECK(load_guest<std::uint64_t>(memory, start + (size - 8)).value() == 0x1122334455667788);
    CHECK((*whole)[size - 8] == std::byte{0x88});
    CHECK(load_guest<std::uint64_t>(memory, start + (size - 7)).error().code == errc::out_of_range);
    std::array<std::byte, 4> four{};
    CHECK(read_guest(memory, start + (size - 4), four));
    CHECK(four[3] == std::byte{0x11});
    CHECK(write_guest(memory, start, four));
    CHECK((*whole)[0] == four[0]);
    CHECK_FALSE(write_guest(memory, start + (size - 3), four));
    CHECK(read_guest(memory, start, std::span<std::byte>{}));
}
