// SPDX-License-Identifier: Apache-2.0
#include "ktstr/dev/pci/config_space.hpp"

#include <doctest/doctest.h>

using namespace ktstr;

namespace {
std::array<std::byte, 4> bytes4(std::uint32_t value) {
    std::array<std::byte, 4> out{};
    for (std::size_t i = 0; i < 4; ++i)
        out[i] = static_cast<std::byte>(value >> (8 * i) & 0xff);
    return out;
}
} // namespace

TEST_CASE("pci_config_space: only the writable bits change, in any width") {
    pci_config_space space;
    space.set(0x10, std::uint32_t{0xd0000000}, std::uint32_t{0xffff8000});
    space.set(0x3c, std::uint8_t{0x11}, std::uint8_t{0x0f});
    space.write(0x10, bytes4(0xffffffff));
    CHECK(space.get<std::uint32_t>(0x10) == 0xffff8000);
    space.write(0x12, std::array{std::byte{0x34}, std::byte{0x12}});
    CHECK(space.get<std::uint32_t>(0x10) == 0x12348000);
    space.write(0x11, std::array{std::byte{0}});
    CHECK(space.get<std::uint32_t>(0x10) == 0x12340000);
    space.write(0x3c, bytes4(0xffffffff));
    CHECK(space.get<std::uint32_t>(0x3c) == 0x1f);
    CHECK(space.get<std::uint16_t>(0x12) == 0x1234);
}

TEST_CASE("pci_config_space: beyond the end nothing is read or written") {
    pci_config_space space;
    space.set(0xfc, std::uint32_t{0x11223344}, ~std::uint32_t{0});
    for (std::uint32_t const at : {0xfdu, 0xffu, 0x100u, 0xfffffffdu}) {
        space.write(at, bytes4(0));
        std::array<std::byte, 4> data{};
        space.read(at, data);
        CHECK(data == bytes4(0xffffffff));
    }
    CHECK(space.get<std::uint32_t>(0xfc) == 0x11223344);
    space.set(0xfe, std::uint32_t{0xaabbccdd}); // cut off at the end
    CHECK(space.get<std::uint32_t>(0xfe) == 0xccdd);
    std::array<std::byte, 1> one{};
    space.read(0xff, one);
    CHECK(one[0] == std::byte{0xcc});
}
