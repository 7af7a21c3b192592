// SPDX-License-Identifier: Apache-2.0
#include "ktstr/dev/acpi_pm.hpp"
#include "ktstr/dev/bus_device.hpp"
#include "ktstr/dev/cmos_rtc.hpp"
#include "ktstr/dev/effect.hpp"
#include "ktstr/dev/i8042.hpp"

#include "suites/bus_device_suite.hpp"
#include "suites/wall_clock_suite.hpp"

#include <array>
#include <doctest/doctest.h>

using namespace ktstr;

namespace {
template <class D>
struct alone {
    D device_{};
    D& device() { return device_; }
    std::uint64_t window() {
        if constexpr (requires { D::window; })
            return D::window;
        else
            return 16;
    }
};
using fixed_rtc = cmos_rtc<fixed_wall_clock>;

std::uint8_t in(auto& device, std::uint64_t offset) {
    std::array<std::byte, 1> data{};
    device.read(offset, data);
    return std::to_integer<std::uint8_t>(data[0]);
}
device_effect out(auto& device, std::uint64_t offset, unsigned value) {
    std::array const data{static_cast<std::byte>(value)};
    return device.write(offset, data);
}
std::uint8_t cmos(auto& rtc, unsigned index) {
    out(rtc, 0, index);
    return in(rtc, 1);
}
} // namespace

TEST_CASE_TEMPLATE_INVOKE(bus_device_suite, alone<null_bus_device>, alone<i8042>, alone<acpi_reset>, alone<acpi_sleep>,
                          alone<fixed_rtc>);
TEST_CASE_TEMPLATE_INVOKE(bus_device_fill_suite, alone<null_bus_device>, alone<i8042>, alone<acpi_reset>,
                          alone<acpi_sleep>, alone<fixed_rtc>);
TEST_CASE_TEMPLATE_INVOKE(wall_clock_suite, system_wall_clock, fixed_wall_clock);

TEST_CASE("device_effect: every value has its name, others say so") {
    CHECK(message(device_effect::none) == "none");
    CHECK(message(device_effect::reset_i8042) == "reset by the i8042");
    CHECK(message(device_effect::reset_acpi) == "reset by the ACPI reset register");
    CHECK(message(device_effect::power_off) == "power off by ACPI S5");
    CHECK(message(static_cast<device_effect>(99)) == "unknown effect");
}

TEST_CASE("i8042: only a command that pulses the reset line resets") {
    i8042 device;
    for (unsigned value = 0; value < 256; ++value) {
        // Lines whose bit is 0 are pulsed, line 0 is reset: 0xf0, 0xf2 .. 0xfe.
        bool const resets = value >= 0xf0 && value % 2 == 0;
        CHECK(out(device, 4, value) == (resets ? device_effect::reset_i8042 : device_effect::none));
        CHECK(out(device, 0, value) == device_effect::none);
        CHECK(out(device, 1, value) == device_effect::none);
    }
    // A 16-bit write to 0x63 touches 0x64 with its second byte.
    CHECK(device.write(3, std::array{std::byte{0}, std::byte{0xfe}}) == device_effect::reset_i8042);
}

TEST_CASE("i8042: the Linux probe gives up at once and the reboot path does not wait") {
    i8042 device;
    int reads = 0;
    while ((in(device, 4) & 0x01) != 0 && reads <= 16) { // i8042_flush: output full, at most I8042_BUFFER_SIZE reads
        CHECK(in(device, 0) == 0xff);
        ++reads;
    }
    CHECK(reads == 17);
    CHECK((in(device, 4) & 0x02) == 0); // kb_wait: input full
    CHECK((in(device, 1) & 0xc0) == 0); // no NMI reason
    CHECK((in(device, 1) & 0x20) != 0); // timer 2 has run out
}

TEST_CASE("acpi_reset: bit 2 resets, reading gives 0") {
    acpi_reset device;
    for (unsigned value = 0; value < 256; ++value)
        CHECK(out(device, 0, value) == ((value & 4) != 0 ? device_effect::reset_acpi : device_effect::none));
    CHECK(out(device, 0, acpi_reset::value) == device_effect::reset_acpi);
    CHECK(in(device, 0) == 0);
}

TEST_CASE("acpi_sleep: S5 with enable powers off, everything else does nothing") {
    acpi_sleep device;
    CHECK(acpi_sleep::s5 == 0x34);
    for (unsigned value = 0; value < 256; ++value) {
        bool const off = (value & 0x3c) == 0x34;
        CHECK(out(device, 0, value) == (off ? device_effect::power_off : device_effect::none));
        CHECK(in(device, 0) == (value & 0x1c)); // the type reads back, enable does not
        CHECK(out(device, 1, value) == device_effect::none);
        CHECK(in(device, 1) == 0);
    }
}

TEST_CASE("to_calendar: known days, leap rules and times before 1970") {
    CHECK(to_calendar(0) == calendar_time{1970, 1, 1, 0, 0, 0, 4});
    CHECK(to_calendar(-1) == calendar_time{1969, 12, 31, 23, 59, 59, 3});
    CHECK(to_calendar(951782400) == calendar_time{2000, 2, 29, 0, 0, 0, 2});
    CHECK(to_calendar(4107542400) == calendar_time{2100, 3, 1, 0, 0, 0, 1});
    CHECK(to_calendar(1795371273) == calendar_time{2026, 11, 22, 18, 14, 33, 0});
    // Every day of 400 years follows its predecessor.
    auto last = to_calendar(0);
    for (std::int64_t day = 1; day < 146097; ++day) {
        auto const next = to_calendar(day * 86400);
        bool const same_month = next.month == last.month && next.day == last.day + 1;
        bool const new_month = next.day == 1 && next.month == last.month % 12 + 1 && last.day >= 28;
        bool const follows = (same_month || new_month) && next.weekday == (last.weekday + 1) % 7;
        if (!follows)
            FAIL("day ", day);
        last = next;
    }
    CHECK(last == calendar_time{2369, 12, 31, 0, 0, 0, 3});
}

TEST_CASE("cmos_rtc: tells the time in BCD without ever updating") {
    fixed_rtc rtc(fixed_wall_clock{1795371273}); // Sunday 2026-11-22 18:14:33
    CHECK(cmos(rtc, 0x00) == 0x33);
    CHECK(cmos(rtc, 0x02) == 0x14);
    CHECK(cmos(rtc, 0x04) == 0x18);
    CHECK(cmos(rtc, 0x06) == 0x01);
    CHECK(cmos(rtc, 0x07) == 0x22);
    CHECK(cmos(rtc, 0x08) == 0x11);
    CHECK(cmos(rtc, 0x09) == 0x26);
    CHECK(cmos(rtc, 0x32) == 0x20);
    CHECK((cmos(rtc, 0x0a) & 0x80) == 0);    // no update in progress
    CHECK((cmos(rtc, 0x0b) & 0x87) == 0x02); // running, BCD, 24 hours
    CHECK(cmos(rtc, 0x0c) == 0);
    CHECK(cmos(rtc, 0x0d) == 0x80);
    CHECK(in(rtc, 0) == 0xff); // the index port is write-only
}

TEST_CASE("cmos_rtc: the guest cannot stop or set the clock, but has its memory") {
    fixed_rtc rtc(fixed_wall_clock{1795371273});
    for (unsigned index = 0; index < 128; ++index) {
        out(rtc, 0, index | 0x80); // with NMI masked
        out(rtc, 1, 0xff);
    }
    CHECK(cmos(rtc, 0x00) == 0x33);
    CHECK((cmos(rtc, 0x0a) & 0x80) == 0);
    CHECK(cmos(rtc, 0x0b) == 0x7a);
    CHECK(cmos(rtc, 0x0f) == 0xff); // the shutdown status byte, which Linux sets
    CHECK(cmos(rtc, 0x7f) == 0xff);
}
