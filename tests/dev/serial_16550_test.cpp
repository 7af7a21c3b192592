// SPDX-License-Identifier: Apache-2.0
#include "ktstr/dev/serial_16550.hpp"

#include "suites/bus_device_suite.hpp"

#include <array>
#include <doctest/doctest.h>
#include <string>
#include <string_view>
#include <thread>

using namespace ktstr;

namespace {
using port = serial_16550<tail_byte_sink, counting_irq>;

struct fixture {
    port uart{tail_byte_sink(1 << 16)};
    port& device() { return uart; }
    std::uint64_t window() { return uart_window; }

    std::uint8_t in(unsigned offset) {
        std::array<std::byte, 1> data{};
        uart.read(offset, data);
        return std::to_integer<std::uint8_t>(data[0]);
    }
    void out(unsigned offset, unsigned value) {
        CHECK(uart.write(offset, std::array{static_cast<std::byte>(value)}) == device_effect::none);
    }
    std::size_t push(std::string_view text) { return uart.push_input(std::as_bytes(std::span(text))); }
    std::uint64_t edges() { return std::exchange(uart.irq().count, 0); }
};
} // namespace

TEST_CASE_TEMPLATE_INVOKE(bus_device_suite, fixture);
TEST_CASE_TEMPLATE_INVOKE(bus_device_fill_suite, fixture);

// The order and the conditions of linux drivers/tty/serial/8250/8250_port.c.
TEST_CASE_FIXTURE(fixture, "serial_16550: Linux autoconfig finds a 16550A") {
    // autoconfig(): IER keeps its low four bits and nothing else
    out(1, 0);
    CHECK((in(1) & 0x0f) == 0);
    out(1, 0x0f);
    CHECK(in(1) == 0x0f);
    out(1, 0);
    // loopback: RTS|OUT2 must come back as CTS|DCD
    auto const mcr = in(4);
    out(4, 0x10 | 0x0a);
    CHECK((in(6) & 0xf0) == 0x90);
    out(4, mcr);
    // no EFR behind LCR 0xbf, FIFO enabled shows as 0b11 in IIR
    out(3, 0xbf);
    out(2, 0);
    out(3, 0);
    out(2, 1);
    CHECK((in(2) >> 6) == 3);
    // autoconfig_16550a(): nothing of the later chips
    out(3, 0x80);
    CHECK(in(2) != 0);
    out(3, 0xbf);
    CHECK(in(2) != 0);
    out(3, 0);
    auto const before = in(4);
    out(3, 0xe0);
    CHECK(((in(2) ^ before) & 0x10) == 0);
    out(3, 0);
    out(4, before ^ 0x10);
    out(3, 0xe0);
    CHECK((in(2) & 0x10) == 0); // EXCR1 does not follow MCR
    out(3, 0);
    out(4, before);
    out(2, 1 | 0x20);
    CHECK((in(2) & 0x20) == 0); // no 64-byte FIFO
    out(1, 0x40);
    CHECK((in(1) & 0x40) == 0); // no XScale unit enable
}

TEST_CASE_FIXTURE(fixture, "serial_16550: Linux start-up sees a sender that re-raises its interrupt") {
    out(2, 1);
    out(2, 1 | 2 | 4);
    out(2, 0);
    CHECK(in(5) == 0x60); // not 0xff: a port is there, both senders empty
    in(0), in(2), in(6);
    out(1, 0x02);
    CHECK(edges() == 1);
    CHECK((in(2) & 0x0f) == 0x02);
    CHECK((in(2) & 0x0f) == 0x01); // read once, acknowledged
    out(1, 0);
    out(1, 0x02);
    CHECK((in(2) & 0x0f) == 0x02); // enabling again raises it again
    CHECK(edges() == 1);
}

TEST_CASE_FIXTURE(fixture, "serial_16550: output reaches the sink, one edge a burst") {
    out(2, 1);
    out(1, 0x02);
    CHECK((in(2) & 0x0f) == 0x02);
    edges();
    for (char const c : std::string_view("hello"))
        out(0, static_cast<unsigned char>(c));
    CHECK(uart.sink().text() == "hello");
    CHECK(edges() == 1);
    CHECK((in(2) & 0x0f) == 0x02);
    out(0, '!');
    CHECK(edges() == 1);
}

TEST_CASE_FIXTURE(fixture, "serial_16550: with DLAB set the data port is the divisor and sends nothing") {
    out(3, 0x83);
    out(0, 0x01);
    out(1, 0x02);
    CHECK(in(0) == 0x01);
    CHECK(in(1) == 0x02);
    out(3, 0x03);
    CHECK(in(1) == 0x00);
    CHECK(uart.sink().total() == 0);
    out(7, 0x5a);
    CHECK(in(7) == 0x5a);
    CHECK(in(3) == 0x03);
}

TEST_CASE_FIXTURE(fixture, "serial_16550: input arrives in order with its interrupt") {
    out(2, 1);
    out(1, 0x01);
    CHECK(edges() == 0);
    CHECK(push("ab") == 2);
    CHECK(edges() == 1);
    CHECK(in(2) == (0xc0 | 0x04));
    CHECK(in(5) == 0x61);
    CHECK(in(0) == 'a');
    CHECK(in(0) == 'b');
    CHECK(in(5) == 0x60);
    CHECK(in(2) == (0xc0 | 0x01));
    CHECK(in(0) == 0);
}

TEST_CASE_FIXTURE(fixture, "serial_16550: below the trigger level it is a time-out interrupt") {
    out(2, 0xc1); // level 14
    out(1, 0x01);
    push("abc");
    CHECK((in(2) & 0x0f) == 0x0c);
    push("0123456789A");
    CHECK((in(2) & 0x0f) == 0x04);
}

TEST_CASE_FIXTURE(fixture, "serial_16550: input is bounded, the rest stays with the caller, later input makes an edge") {
    out(1, 0x01);
    std::string const flood(5000, 'x');
    CHECK(push(flood) == 4096);
    CHECK(push(flood) == 0);
    CHECK(edges() == 1);
    in(0);
    CHECK(push("yz") == 1);
    CHECK(edges() == 1); // although data was waiting all the time
    for (int i = 0; i < 4095; ++i)
        REQUIRE(in(0) == 'x');
    CHECK(in(0) == 'y');
    CHECK(in(5) == 0x60);
    push("a");
    out(2, 1); // switching the FIFO on empties it
    CHECK(in(5) == 0x60);
}

TEST_CASE_FIXTURE(fixture, "serial_16550: loopback returns what was sent and keeps it from the sink") {
    out(4, 0x10);
    out(0, 'q');
    CHECK(in(5) == 0x61);
    CHECK(in(0) == 'q');
    for (int i = 0; i < 17; ++i)
        out(0, 'r');
    CHECK(in(5) == (0x60 | 0x01 | 0x02)); // the 17th was lost
    CHECK(in(5) == 0x61);                 // and reading said so
    CHECK(uart.sink().total() == 0);
}

TEST_CASE_FIXTURE(fixture, "serial_16550: interrupts come in order of urgency; modem changes clear on read") {
    out(1, 0x0f);
    out(4, 0x10); // CTS, DSR, DCD fall
    for (int i = 0; i < 17; ++i)
        out(0, 'r');
    CHECK((in(2) & 0x0f) == 0x06);
    in(5);
    CHECK((in(2) & 0x0f) == 0x04);
    for (int i = 0; i < 16; ++i)
        in(0);
    CHECK((in(2) & 0x0f) == 0x02);
    CHECK((in(2) & 0x0f) == 0x00);
    CHECK(in(6) == 0x0b);
    CHECK(in(6) == 0x00);
    CHECK((in(2) & 0x0f) == 0x01);
    out(4, 0x10 | 0x04); // ring rises: no change bit
    CHECK(in(6) == 0x40);
    out(4, 0x10); // ring falls: change bit
    CHECK(in(6) == 0x04);
}

TEST_CASE_FIXTURE(fixture, "serial_16550: a wide access is its bytes one after the other") {
    out(7, 0x77);
    std::array<std::byte, 2> two{};
    uart.read(6, two);
    CHECK(two[0] == std::byte{0xb0});
    CHECK(two[1] == std::byte{0x77});
    std::array<std::byte, 4> four{};
    uart.read(6, four);
    CHECK(four[2] == open_bus);
}

TEST_CASE_FIXTURE(fixture, "serial_16550: a sender and a receiver thread do not disturb each other") {
    out(2, 1);
    out(1, 0x03);
    std::thread feeder([&] {
        std::size_t sent = 0;
        while (sent < 2000)
            sent += push(std::string(std::min<std::size_t>(7, 2000 - sent), 'i'));
    });
    int got = 0;
    while (got < 2000) {
        if ((in(5) & 1) != 0)
            got += in(0) == 'i' ? 1 : 0;
        else
            std::this_thread::yield();
        out(0, 'o');
    }
    feeder.join();
    CHECK(uart.sink().total() >= 2000);
    CHECK(uart.state().rx_count == 0);
}
