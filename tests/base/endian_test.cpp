// SPDX-License-Identifier: Apache-2.0
#include "ktstr/base/endian.hpp"

#include <doctest/doctest.h>

using namespace ktstr;

TEST_CASE("le and be: literal bytes of each width") {
    CHECK(le16(0x1234).raw == std::array<std::uint8_t, 2>{0x34, 0x12});
    CHECK(be16(0x1234).raw == std::array<std::uint8_t, 2>{0x12, 0x34});
    CHECK(le32(0x12345678).raw == std::array<std::uint8_t, 4>{0x78, 0x56, 0x34, 0x12});
    CHECK(be32(0x12345678).raw == std::array<std::uint8_t, 4>{0x12, 0x34, 0x56, 0x78});
    CHECK(le64(0x0123456789abcdef).raw == std::array<std::uint8_t, 8>{0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01});
    CHECK(be64(0x0123456789abcdef).raw == std::array<std::uint8_t, 8>{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef});
}

TEST_CASE_TEMPLATE("le and be: what goes in comes out", T, le16, le32, le64, be16, be32, be64) {
    using number = decltype(T{}.get());
    for (auto const value : {number{0}, number{1}, static_cast<number>(0x8001), static_cast<number>(~number{0})})
        CHECK(T(value).get() == value);
    static_assert(alignof(T) == 1 && sizeof(T) == sizeof(number));
}

TEST_CASE("comparison with plain integers compares values") {
    le16 const field(0xffff);
    CHECK(field == std::uint16_t{0xffff});
    CHECK(field == 0xffff);
    CHECK(field != -1);
    CHECK(0xffff == field);
    CHECK(field != std::uint32_t{0x1ffff});
    CHECK(le32(5) == be32(5).get());
}
