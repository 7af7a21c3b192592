// SPDX-License-Identifier: Apache-2.0
#include "ktstr/wire/codec.hpp"

#include "wire/samples.hpp"

#include <doctest/doctest.h>

using namespace ktstr;
using namespace ktstr::wire;

namespace {
enum class color : std::uint8_t { red, green };
constexpr color last_of(color) { return color::green; }
struct mixed {
    std::uint16_t a = 0;
    std::int32_t b = 0;
    bool c = false;
    color d = color::red;
    std::string e;
    std::vector<std::uint16_t> f;
    std::array<std::uint8_t, 2> g{};
    static void describe(auto& io, auto& m) { io(m.a), io(m.b), io(m.c), io(m.d), io(m.e), io(m.f), io(m.g); }
};
} // namespace

TEST_CASE("codec: golden bytes, and back") {
    mixed const m{0x0102, -2, true, color::green, "hi", {3, 4}, {5, 6}};
    auto const raw = encode_value(m);
    CHECK(samples::hex(raw) == "0201"
                               "feffffff"
                               "01"
                               "01"
                               "02000000"
                               "6869"
                               "02000000"
                               "0300"
                               "0400"
                               "0506");
    auto const back = decode_value<mixed>(raw, "test");
    REQUIRE(back);
    CHECK(encode_value(*back) == raw);
}

TEST_CASE("codec: every truncation is refused with the offset") {
    auto const raw = encode_value(mixed{1, 2, true, color::green, "text", {1, 2, 3}, {}});
    for (std::size_t n = 0; n < raw.size(); ++n) {
        auto const back = decode_value<mixed>(std::span(raw).first(n), "test");
        REQUIRE(!back);
        CHECK((back.error().code == errc::truncated || back.error().code == errc::out_of_range));
        CHECK(back.error().where == "test");
        CHECK(back.error().value <= n);
    }
}

TEST_CASE("codec: a byte too many, a bool of 2, an enumeration past its end, a count past the input") {
    auto const good = encode_value(mixed{});
    auto bad = good;
    bad.push_back(std::byte{0});
    CHECK(decode_value<mixed>(bad, "t").error() == error{errc::bad_format, 0, good.size(), "t"});
    bad = good;
    bad[6] = std::byte{2};
    CHECK(decode_value<mixed>(bad, "t").error().code == errc::bad_format);
    bad = good;
    bad[7] = std::byte{2};
    CHECK(decode_value<mixed>(bad, "t").error().code == errc::bad_format);
    bad = good;
    bad[12] = std::byte{0xFF};
    CHECK(decode_value<mixed>(bad, "t").error().code == errc::out_of_range);
    bad = good;
    bad[8] = std::byte{0xFF};
    CHECK(decode_value<mixed>(bad, "t").error().code == errc::truncated);
}

TEST_CASE("codec: more elements than the cap are refused though the bytes are there") {
    std::vector<std::byte> raw(4 + max_items + 1);
    le32 const count = max_items + 1;
    std::memcpy(raw.data(), count.raw.data(), 4);
    CHECK(decode_value<std::vector<std::uint8_t>>(raw, "t").error().code == errc::out_of_range);
}
