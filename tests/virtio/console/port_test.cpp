// SPDX-License-Identifier: Apache-2.0
#include "ktstr/virtio/console/port.hpp"

#include "ktstr/abi/virtio_console.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace ktstr;

namespace {
std::vector<unsigned> encoded(console_notice notice, console_port const& port, console_size size = {}) {
    std::array<std::byte, console_message_max> raw{};
    auto const n = encode_notice(notice, 0x01020304, port, size, raw);
    std::vector<unsigned> out;
    for (std::size_t i = 0; i < n; ++i)
        out.push_back(std::to_integer<unsigned>(raw[i]));
    return out;
}
using bytes_are = std::vector<unsigned>;
} // namespace

TEST_CASE("encode_notice: each message byte by byte") {
    console_port port;
    port.options.name = "ab";
    CHECK(encoded(console_notice::add, port) == bytes_are{4, 3, 2, 1, 1, 0, 1, 0});
    CHECK(encoded(console_notice::console, port) == bytes_are{4, 3, 2, 1, 4, 0, 1, 0});
    CHECK(encoded(console_notice::name, port) == bytes_are{4, 3, 2, 1, 7, 0, 1, 0, 'a', 'b'});
    CHECK(encoded(console_notice::resize, port, {0x0102, 0x0304}) ==
          bytes_are{4, 3, 2, 1, 5, 0, 1, 0, 2, 1, 4, 3});
    CHECK(encoded(console_notice::open, port) == bytes_are{4, 3, 2, 1, 6, 0, 1, 0});
    port.host_open = false;
    CHECK(encoded(console_notice::open, port) == bytes_are{4, 3, 2, 1, 6, 0, 0, 0});
    std::string const longer(200, 'n');
    port.options.name = longer;
    CHECK(encoded(console_notice::name, port).size() == console_message_max);
    CHECK(encoded(static_cast<console_notice>(9), port).empty());
}

TEST_CASE("console_port: messages are due in order, each at most once") {
    console_port port;
    CHECK_FALSE(port.due());
    port.owe(console_notice::open);
    port.owe(console_notice::add);
    port.owe(console_notice::add);
    CHECK(port.due() == console_notice::add);
    port.settle(console_notice::add);
    CHECK(port.due() == console_notice::open);
    port.settle(console_notice::open);
    CHECK_FALSE(port.due());
}

TEST_CASE("console_port: a terminal takes input once it is ready, a channel once it is open") {
    console_port port;
    port.guest_ready = true;
    CHECK_FALSE(port.takes_input());
    port.guest_open = true;
    CHECK(port.takes_input());
    port.options.console = true;
    port.guest_open = false;
    CHECK(port.takes_input());
}
