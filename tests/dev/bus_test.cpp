// SPDX-License-Identifier: Apache-2.0
#include "ktstr/dev/bus.hpp"

#include <array>
#include <atomic>
#include <doctest/doctest.h>
#include <limits>

using namespace ktstr;

namespace {
/// Remembers the last access.
struct recorder {
    std::uint64_t offset = 99;
    std::size_t length = 0;
    device_effect answer = device_effect::none;
    void read(std::uint64_t o, std::span<std::byte> data) noexcept {
        offset = o;
        length = data.size();
        std::fill(data.begin(), data.end(), std::byte{0x11});
    }
    device_effect write(std::uint64_t o, std::span<std::byte const> data) noexcept {
        offset = o;
        length = data.size();
        return answer;
    }
};
} // namespace

// [own_device]
/// One port: writing 0x31 ends the machine, reading counts reads. Its state is atomic, so it needs no lock.
struct exit_port {
    std::atomic<std::uint8_t> reads{0};

    void read(std::uint64_t, std::span<std::byte> data) noexcept {
        std::fill(data.begin(), data.end(), std::byte{0});
        if (!data.empty())
            data[0] = std::byte{reads.fetch_add(1, std::memory_order_relaxed)};
    }
    device_effect write(std::uint64_t, std::span<std::byte const> data) noexcept {
        bool const ends = !data.empty() && data[0] == std::byte{0x31};
        return ends ? device_effect::power_off : device_effect::none;
    }
};
static_assert(explain_bus_device<exit_port>());
// [/own_device]

TEST_CASE("device_bus: a device of one's own joins by being named") {
    // [own_bus]
    exit_port exit;
    null_bus_device quiet;
    auto const bus = make_bus(bus_slot{0xf4, 1, &exit}, bus_slot{0x80, 1, &quiet});
    // [/own_bus]
    REQUIRE(bus);
    std::array data{std::byte{0x31}};
    CHECK(bus->write(0xf4, data) == device_effect::power_off);
    CHECK(bus->write(0x80, data) == device_effect::none);
    CHECK(bus->read(0xf4, data));
    CHECK(bus->read(0xf4, data));
    CHECK(data[0] == std::byte{1});
}

TEST_CASE("device_bus: an access reaches the device whose window covers all of it") {
    recorder low;
    recorder high;
    high.answer = device_effect::power_off;
    auto const bus = make_bus(bus_slot{0x3f8, 8, &low}, bus_slot{0x400, 2, &high});
    REQUIRE(bus);
    std::array<std::byte, 4> data{};
    CHECK(bus->read(0x3f8, data));
    CHECK(low.offset == 0);
    CHECK(data[3] == std::byte{0x11});
    CHECK(bus->read(0x3fc, data));
    CHECK(low.offset == 4);
    CHECK(bus->write(0x401, std::span(data).first(1)) == device_effect::power_off);
    CHECK(high.offset == 1);
    CHECK(high.length == 1);
    CHECK(bus->write(0x3f9, std::span(data).first(1)) == device_effect::none);
}

TEST_CASE("device_bus: nobody's addresses read as ones and say so; edges are not crossed") {
    recorder device;
    auto const bus = make_bus(bus_slot{0x10, 4, &device});
    REQUIRE(bus);
    std::array<std::byte, 4> data{};
    for (std::uint64_t at : {std::uint64_t{0}, std::uint64_t{0x0f}, std::uint64_t{0x11}, std::uint64_t{0x14},
                             std::numeric_limits<std::uint64_t>::max()}) {
        data.fill(std::byte{0});
        CHECK_FALSE(bus->read(at, data));
        CHECK(data[0] == open_bus);
        CHECK(data[3] == open_bus);
        CHECK_FALSE(bus->write(at, data).has_value());
    }
    CHECK(device.offset == 99);
    CHECK_FALSE(make_bus()->read(0, data));
}

TEST_CASE("make_bus: overlaps and impossible windows are refused, neighbours are not") {
    null_bus_device d;
    CHECK(make_bus(bus_slot{0x10, 8, &d}, bus_slot{0x18, 8, &d}, bus_slot{0x08, 8, &d}));
    CHECK(make_bus(bus_slot{std::numeric_limits<std::uint64_t>::max(), 1, &d}));
    auto const overlap = make_bus(bus_slot{0x20, 1, &d}, bus_slot{0x10, 8, &d}, bus_slot{0x17, 8, &d});
    REQUIRE_FALSE(overlap);
    CHECK(overlap.error() == error{errc::already_exists, 0, 0x17, "bus.overlap"});
    CHECK(make_bus(bus_slot{0x10, 8, &d}, bus_slot{0x10, 8, &d}).error().code == errc::already_exists);
    CHECK(make_bus(bus_slot{0x10, 0, &d}).error().code == errc::invalid_argument);
    CHECK(make_bus(bus_slot{0x10, 1, static_cast<null_bus_device*>(nullptr)}).error().code == errc::invalid_argument);
    CHECK(make_bus(bus_slot{~std::uint64_t{0}, 2, &d}).error().code == errc::invalid_argument);
}
