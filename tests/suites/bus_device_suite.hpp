// SPDX-License-Identifier: Apache-2.0
/// \file
/// What every `BusDevice` model promises beyond its signatures. `Fixture` owns one: `auto& device()`, `window()`.
#pragma once

#include "ktstr/dev/bus_device.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <doctest/doctest.h>
#include <random>
#include <span>
#include <type_traits>

TEST_CASE_TEMPLATE_DEFINE("BusDevice: any access of any width is answered, and fills all it was asked for", Fixture,
                          bus_device_suite) {
    Fixture fixture;
    auto& device = fixture.device();
    static_assert(ktstr::explain_bus_device<std::remove_reference_t<decltype(device)>>());
    std::uint64_t const window = fixture.window();
    std::mt19937 random(20261122); // the same garbage every time
    for (int round = 0; round < 20000; ++round) {
        std::uint64_t const length = std::min<std::uint64_t>(std::uint64_t{1} << (random() % 4), window);
        std::uint64_t const offset = random() % (window - length + 1);
        std::array<std::byte, 8> data{};
        for (auto& b : data)
            b = static_cast<std::byte>(random());
        auto const part = std::span(data).first(length);
        if (random() % 2 == 0) {
            auto const effect = device.write(offset, part);
            CHECK(effect <= ktstr::device_effect::power_off);
        } else {
            // Bytes behind the buffer stay as they are.
            auto const before = data;
            device.read(offset, part);
            for (std::size_t i = static_cast<std::size_t>(length); i < data.size(); ++i)
                CHECK(data[i] == before[i]);
        }
    }
    std::array<std::byte, 1> none{};
    device.read(0, std::span(none).first(0));
    CHECK(device.write(0, std::span<std::byte const>(none).first(0)) == ktstr::device_effect::none);
}

TEST_CASE_TEMPLATE_DEFINE("BusDevice: a read writes every byte of its buffer", Fixture, bus_device_fill_suite) {
    // Two untouched devices in the same state, read over different fillings, give the same bytes.
    for (std::uint64_t offset = 0; offset < Fixture{}.window(); ++offset) {
        Fixture one;
        Fixture two;
        std::array<std::byte, 1> a{std::byte{0x5a}};
        std::array<std::byte, 1> b{std::byte{0xa5}};
        one.device().read(offset, a);
        two.device().read(offset, b);
        CHECK(a[0] == b[0]);
        if (offset > 512)
            break;
    }
}
