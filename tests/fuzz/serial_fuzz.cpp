// SPDX-License-Identifier: Apache-2.0
/// \file
/// Plays a guest that does anything to a 16550. Input: steps of two bytes, register and kind, then value.
#include "ktstr/dev/serial_16550.hpp"

#include <array>
#include <cstdint>
#include <cstdlib>
#include <span>

using namespace ktstr;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    serial_16550<null_byte_sink, counting_irq> uart;
    std::array<std::byte, 256> const input{};
    for (std::size_t at = 0; at + 2 <= size; at += 2) {
        std::uint64_t const offset = data[at] % 8;
        std::array<std::byte, 2> access{std::byte{data[at + 1]}, std::byte{data[at]}};
        auto const width = std::min<std::size_t>(1 + (data[at] >> 7), 8 - offset);
        switch (data[at] >> 3 & 3) {
        case 0: uart.read(offset, std::span(access).first(width)); break;
        case 1:
        case 2: (void)uart.write(offset, std::span<std::byte const>(access).first(width)); break;
        case 3: (void)uart.push_input(std::span(input).first(data[at + 1])); break;
        }
        auto const s = uart.state();
        if (s.rx_count > s.rx.size() || s.rx_first >= s.rx.size() || (s.ier & 0xf0) != 0 ||
            (s.asserted & ~s.ier) != 0)
            std::abort();
        // A line that signals something says what; one that does not says nothing.
        std::array<std::byte, 1> iir{};
        uart.read(2, iir);
        if (((std::to_integer<unsigned>(iir[0]) & 1) != 0) != (s.asserted == 0))
            std::abort();
    }
    return 0;
}
