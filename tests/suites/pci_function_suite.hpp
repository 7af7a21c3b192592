// SPDX-License-Identifier: Apache-2.0
/// \file
/// What every `PciFunction` model promises beyond its signatures. `Fixture` owns one: `auto& function()`.
#pragma once

#include "ktstr/abi/pci.hpp"
#include "ktstr/dev/pci/function.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <doctest/doctest.h>
#include <memory>
#include <random>
#include <span>
#include <type_traits>

namespace ktstr::test {
/// A number from the function's configuration space.
inline std::uint32_t config(auto& function, std::uint32_t offset, std::size_t size) {
    std::array<std::byte, 4> raw{};
    function.config_read(offset, std::span(raw).first(size));
    std::uint32_t out = 0;
    std::memcpy(&out, raw.data(), sizeof out);
    return out;
}
inline void put_config(auto& function, std::uint32_t offset, std::size_t size, std::uint32_t value) {
    std::array<std::byte, 4> raw{};
    std::memcpy(raw.data(), &value, sizeof value);
    function.config_write(offset, std::span<std::byte const>(raw).first(size));
}
} // namespace ktstr::test

TEST_CASE_TEMPLATE_DEFINE("PciFunction: identity is fixed, and capabilities form a list that ends", Fixture,
                          pci_function_suite) {
    using namespace ktstr;
    using test::config;
    auto fixture = std::make_unique<Fixture>();
    auto& function = fixture->function();
    static_assert(explain_pci_function<std::remove_reference_t<decltype(function)>>());
    CHECK(config(function, pci::reg::vendor, 2) != 0xffff);
    std::array<std::byte, pci::config_size> before{};
    function.config_read(0, before);
    for (auto const at : {pci::reg::vendor, pci::reg::revision, pci::reg::subsystem_vendor, 0x0cu, 0x30u, 0x34u})
        test::put_config(function, at, 4, 0xffffffff);
    std::array<std::byte, pci::config_size> after{};
    function.config_read(0, after);
    CHECK(before == after);
    if ((config(function, pci::reg::status, 2) & pci::status_capabilities) == 0)
        return;
    unsigned seen = 0;
    for (auto at = config(function, pci::reg::capabilities, 1); at != 0; at = config(function, at + 1, 1)) {
        CHECK(at >= 0x40);
        CHECK(at % 4 == 0);
        CHECK(config(function, at, 1) != 0);
        REQUIRE(++seen < 48);
    }
}

TEST_CASE_TEMPLATE_DEFINE("PciFunction: a BAR tells its size, and nothing is claimed while decoding is off", Fixture,
                          pci_function_bar_suite) {
    using namespace ktstr;
    using test::config, test::put_config;
    auto fixture = std::make_unique<Fixture>();
    auto& function = fixture->function();
    std::array<std::byte, 4> data{};
    for (std::uint32_t at = pci::reg::bar0; at < pci::reg::bar0 + 24; at += 4) {
        auto const place = config(function, at, 4);
        put_config(function, at, 4, 0xffffffff);
        auto const size = ~(config(function, at, 4) & ~0xfu) + 1;
        put_config(function, at, 4, place);
        CHECK(config(function, at, 4) == place);
        if (config(function, at, 4) == 0 && size == 0)
            continue;
        CHECK((size & (size - 1)) == 0);
        CHECK(size >= 0x1000);
        put_config(function, pci::reg::command, 2, 0);
        CHECK_FALSE(function.memory_read(place, data));
        CHECK_FALSE(function.memory_write(place, data));
        put_config(function, pci::reg::command, 2, pci::command_memory);
        CHECK(function.memory_read(place, data));
        CHECK(function.memory_read(place + size - 4, data));
        CHECK_FALSE(function.memory_read(place + size - 3, data)); // across the end
        CHECK_FALSE(function.memory_read(place - 1, data));
        // moved
        put_config(function, at, 4, 0xe0000000);
        CHECK_FALSE(function.memory_read(place, data));
        CHECK(function.memory_write(0xe0000000, data));
        put_config(function, at, 4, 0xffffffff); // the last place below 4 GiB
        CHECK(function.memory_read(0x1'0000'0000 - 4, data));
        CHECK_FALSE(function.memory_read(0x1'0000'0000, data));
    }
}

TEST_CASE_TEMPLATE_DEFINE("PciFunction: any access of any width is answered", Fixture, pci_function_garbage_suite) {
    auto fixture = std::make_unique<Fixture>();
    auto& function = fixture->function();
    std::mt19937 random(20261122);
    for (int round = 0; round < 20000; ++round) {
        std::size_t const length = std::size_t{1} << (random() % 4);
        auto const at = static_cast<std::uint32_t>(random() % 4 == 0 ? random() : random() % 256);
        std::array<std::byte, 8> data{};
        for (auto& b : data)
            b = static_cast<std::byte>(random());
        auto const before = data;
        auto const part = std::span(data).first(length);
        switch (random() % 4) {
        case 0: function.config_read(at, part); break;
        case 1: function.config_write(at, part); break;
        case 2: (void)function.memory_read(0xd0000000 + at % 0x10000, part); break;
        case 3: (void)function.memory_write(0xd0000000 + at % 0x10000, part); break;
        }
        CHECK(std::equal(data.begin() + static_cast<std::ptrdiff_t>(length), data.end(),
                         before.begin() + static_cast<std::ptrdiff_t>(length)));
    }
    std::array<std::byte, 2> beyond{};
    function.config_read(255, beyond);
    CHECK(beyond == std::array{std::byte{0xff}, std::byte{0xff}});
    function.config_read(0xfffffffe, beyond);
    CHECK(beyond == std::array{std::byte{0xff}, std::byte{0xff}});
}
