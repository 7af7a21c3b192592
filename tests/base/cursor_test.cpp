// SPDX-License-Identifier: Apache-2.0
#include "ktstr/base/cursor.hpp"

#include "ktstr/base/endian.hpp"

#include <array>
#include <doctest/doctest.h>

using namespace ktstr;

struct pair_on_disk {
    le16 a;
    be32 b;
};

static constexpr std::array<std::uint8_t, 7> raw{0x34, 0x12, 0xde, 0xad, 0xbe, 0xef, 0x77};

TEST_CASE("reader: gives values in order and says where the input ended") {
    reader r(std::as_bytes(std::span(raw)), "test.pair");
    auto const value = r.get<pair_on_disk>();
    REQUIRE(value);
    CHECK(value->a == 0x1234);
    CHECK(value->b == 0xdeadbeef);
    CHECK(r.offset() == 6);
    CHECK(r.remaining() == 1);
    CHECK(r.get<le16>().error() == error{errc::truncated, 0, 6, "test.pair"});
    CHECK(r.offset() == 6); // a call that fails consumes nothing
    CHECK(r.get<std::uint8_t>() == 0x77);
    CHECK(r.at_end());
    CHECK(r.take(0));
    CHECK_FALSE(r.take(1));
}

TEST_CASE("reader: every truncation of a record is an error, and huge lengths are too") {
    for (std::size_t n = 0; n < sizeof(pair_on_disk); ++n) {
        reader r(std::as_bytes(std::span(raw)).first(n));
        CHECK(r.get<pair_on_disk>().error().code == errc::truncated);
    }
    reader r(std::as_bytes(std::span(raw)));
    CHECK(r.take(3));
    CHECK_FALSE(r.take(~std::uint64_t{0}));
    CHECK_FALSE(r.take(~std::uint64_t{0} - 2)); // would wrap to 0 when added to the offset
}

TEST_CASE("reader: seek reaches the end and no further") {
    reader r(std::as_bytes(std::span(raw)));
    CHECK(r.seek(7));
    CHECK(r.at_end());
    CHECK(r.seek(8).error().value == 8);
    CHECK(r.offset() == 7);
    CHECK(r.seek(0));
    CHECK(r.remaining() == 7);
}

TEST_CASE("writer: writes all or nothing") {
    std::array<std::byte, 5> out{};
    writer w(out, "test.out");
    CHECK(w.put(le32(0x01020304)));
    CHECK(w.put(le16(0)).error() == error{errc::no_space, 0, 4, "test.out"});
    CHECK(w.offset() == 4);
    CHECK(out[4] == std::byte{0});
    CHECK(w.put(std::uint8_t{9}));
    CHECK(w.put_bytes({}));
    CHECK_FALSE(w.put(std::uint8_t{9}));
    CHECK(w.written().size() == 5);
    CHECK(w.written()[0] == std::byte{4});
}

TEST_CASE("bytes_of is the object representation") {
    be32 const value(0x01020304);
    CHECK(bytes_of(value).size() == 4);
    CHECK(bytes_of(value)[0] == std::byte{1});
}
