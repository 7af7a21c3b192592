// SPDX-License-Identifier: Apache-2.0
#include "ktstr/lab/frame.hpp"

#include <algorithm>
#include <array>
#include <doctest/doctest.h>
#include <string>
#include <string_view>
#include <utility>

using namespace ktstr;
using namespace ktstr::lab;

namespace {
std::span<std::byte const> raw(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

struct seen_frame {
    frame_type type;
    std::uint32_t channel;
    std::vector<std::byte> payload;
    friend bool operator==(seen_frame const&, seen_frame const&) = default;
};

auto collect(std::vector<seen_frame>& into) {
    return [&into](frame const& f) -> result<> {
        into.push_back({f.type, f.channel, {f.payload.begin(), f.payload.end()}});
        return {};
    };
}
} // namespace

TEST_CASE("lab frame: the header's bytes are the documented ones") {
    std::vector<std::byte> out;
    append_frame(out, frame_type::stdout_data, 0x01020304, raw("hi"));
    constexpr std::array<unsigned char, 18> expected{'K', 'L', 'A', 'B', 9, 0, 1, 0, 4, 3, 2, 1, 2, 0, 0, 0, 'h', 'i'};
    REQUIRE(out.size() == expected.size());
    for (std::size_t i = 0; i < out.size(); ++i)
        CHECK(std::to_integer<unsigned>(out[i]) == expected[i]);
}

TEST_CASE("lab frame: frames come out whole, however the stream is cut") {
    std::vector<std::byte> stream;
    append_frame(stream, frame_type::hello, 0, raw("one"));
    append_frame(stream, frame_type::stderr_data, 7, {});
    append_frame(stream, frame_type::put, 8, raw(std::string(300, 'x')));
    std::vector<seen_frame> whole;
    frame_decoder all;
    REQUIRE(all.feed(stream, collect(whole)));
    REQUIRE(whole.size() == 3);
    CHECK(whole[1].channel == 7);
    CHECK(whole[1].payload.empty());
    CHECK(whole[2].payload.size() == 300);
    for (std::size_t cut = 1; cut < 40; ++cut) {
        std::vector<seen_frame> parts;
        frame_decoder decoder;
        for (std::size_t at = 0; at < stream.size(); at += cut)
            REQUIRE(decoder.feed(std::span(stream).subspan(at, std::min(cut, stream.size() - at)), collect(parts)));
        CHECK(parts == whole);
        CHECK(decoder.pending() == 0);
    }
}

TEST_CASE("lab frame: each wrong header field ends the stream and is named") {
    struct wrong {
        std::size_t at;
        unsigned char value;
        std::string_view where;
    };
    for (auto const& w : {wrong{0, 'X', "lab.frame.magic"}, wrong{4, 0, "lab.frame.type"}, wrong{4, 99, "lab.frame.type"},
                          wrong{6, 2, "lab.frame.version"}, wrong{14, 2, "lab.frame.length"}}) {
        std::vector<std::byte> stream;
        append_frame(stream, frame_type::hello, 0, {});
        stream[w.at] = std::byte{w.value};
        std::vector<seen_frame> got;
        frame_decoder decoder;
        auto const fed = decoder.feed(stream, collect(got));
        REQUIRE_FALSE(fed);
        CHECK(fed.error().where == w.where);
        std::vector<std::byte> good;
        append_frame(good, frame_type::hello, 0, {});
        CHECK_FALSE(decoder.feed(good, collect(got)));
        CHECK(got.empty());
    }
}

TEST_CASE("lab frame: the longest payload passes") {
    std::vector<std::byte> stream;
    append_frame(stream, frame_type::put, 1, std::vector<std::byte>(frame_payload_max));
    std::vector<seen_frame> got;
    frame_decoder decoder;
    REQUIRE(decoder.feed(stream, collect(got)));
    CHECK(got.size() == 1);
}

TEST_CASE("lab frame: an error of the receiver ends the stream") {
    std::vector<std::byte> stream;
    append_frame(stream, frame_type::hello, 0, {});
    append_frame(stream, frame_type::ready, 0, {});
    int calls = 0;
    frame_decoder decoder;
    auto const refuse = [&](frame const&) -> result<> {
        ++calls;
        return fail(errc::bad_format, "test");
    };
    CHECK_FALSE(decoder.feed(stream, refuse));
    CHECK(calls == 1);
    CHECK_FALSE(decoder.feed({}, refuse));
}
