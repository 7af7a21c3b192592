// SPDX-License-Identifier: Apache-2.0
// A device whose write does not say what it asks of the machine is told so, and is not taken by a bus.
// EXPECT: BusDevice: missing `device_effect write(uint64_t, span<byte const>) noexcept`
#include "ktstr/dev/bus_device.hpp"

struct good_device {
    void read(std::uint64_t, std::span<std::byte>) noexcept {}
    ktstr::device_effect write(std::uint64_t, std::span<std::byte const>) noexcept { return ktstr::device_effect::none; }
};
struct bad_device {
    void read(std::uint64_t, std::span<std::byte>) noexcept {}
    void write(std::uint64_t, std::span<std::byte const>) noexcept {}
};
static_assert(ktstr::explain_bus_device<good_device>());
static_assert(!ktstr::BusDevice<bad_device>);
#ifdef KTSTR_EXPECT_FAIL
static_assert(ktstr::explain_bus_device<bad_device>());
#endif
