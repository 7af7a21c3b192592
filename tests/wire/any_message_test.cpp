// SPDX-License-Identifier: Apache-2.0
#include "ktstr/wire/any_message.hpp"

#include "wire/samples.hpp"

#include "ktstr/wire/stream_decoder.hpp"

#include <doctest/doctest.h>

using namespace ktstr;
using namespace ktstr::wire;

TEST_CASE("any_message: frames of each side decode on the other, and only there") {
    auto const decode = [](auto const& m, auto&& check) {
        std::vector<std::byte> out;
        encode_message(m, 0, out);
        stream_decoder d;
        int frames = 0;
        d.feed(out, [&](frame_view f) {
            ++frames;
            check(f);
        });
        CHECK(frames == 1);
    };
    samples::each_guest_message([&](auto const& m) {
        using message = std::remove_cvref_t<decltype(m)>;
        decode(m, [](frame_view f) {
            auto const got = decode_guest_message(f);
            REQUIRE(got);
            CHECK(std::holds_alternative<message>(*got));
            CHECK(decode_host_message(f).error().code == errc::unsupported);
        });
    });
    samples::each_host_message([&](auto const& m) {
        using message = std::remove_cvref_t<decltype(m)>;
        decode(m, [](frame_view f) {
            auto const got = decode_host_message(f);
            REQUIRE(got);
            CHECK(std::holds_alternative<message>(*got));
            CHECK(decode_guest_message(f).error().code == errc::unsupported);
        });
    });
}

TEST_CASE("any_message: an unknown type is named by its number") {
    CHECK(decode_guest_message({999, 0, {}}).error() == error{errc::unsupported, 0, 999, "wire.message.type"});
}
