// SPDX-License-Identifier: Apache-2.0
#include "ktstr/wire/stream_decoder.hpp"

#include "wire/samples.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace ktstr::wire;

namespace {

using bytes_t = std::vector<std::byte>;

bytes_t frame_of(std::string_view payload, std::uint32_t sequence = 0, std::uint16_t type = 3) {
    bytes_t out;
    append_frame(out, type, sequence, samples::raw(payload));
    return out;
}

bytes_t operator+(bytes_t a, bytes_t const& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

std::string text_of(frame_view f) { return {reinterpret_cast<char const*>(f.payload.data()), f.payload.size()}; }

/// The payloads that come out of `data` fed `step` bytes at a time.
std::vector<std::string> payloads(bytes_t const& data, std::size_t step, bool finish = true) {
    stream_decoder d;
    std::vector<std::string> out;
    auto const take = [&](frame_view f) { out.push_back(text_of(f)); };
    for (std::size_t at = 0; at < data.size(); at += step)
        d.feed(std::span(data).subspan(at, std::min(step, data.size() - at)), take);
    if (finish)
        d.finish(take);
    return out;
}

using texts = std::vector<std::string>;

} // namespace

TEST_CASE("stream_decoder: frames come out whatever the size of the pieces") {
    auto const data = frame_of("one") + frame_of("", 1) + frame_of("three", 2);
    for (std::size_t step = 1; step <= data.size(); ++step)
        CHECK(payloads(data, step, false) == texts{"one", "", "three"});
}

TEST_CASE("stream_decoder: garbage before, between and after frames is passed over") {
    auto const rubbish = samples::raw("KTKTSKTSM\x01 no frame KTS");
    auto const data = rubbish + frame_of("a") + rubbish + rubbish + frame_of("b", 1) + rubbish;
    for (std::size_t step : {1, 2, 3, 7, 1000})
        CHECK(payloads(data, step) == texts{"a", "b"});
    stream_decoder d;
    d.feed(data, [](frame_view) {});
    d.finish([](frame_view) {});
    CHECK(d.counts().frames == 2);
    CHECK(d.counts().garbage == 4 * rubbish.size());
    CHECK(d.pending() == 0);
}

TEST_CASE("stream_decoder: one changed bit anywhere and the frame has no effect, while its neighbours do") {
    auto const before = frame_of("first"), after = frame_of("last", 2), middle = frame_of("secret", 1);
    for (std::size_t bit = 0; bit < middle.size() * 8; ++bit) {
        auto bad = middle;
        bad[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
        CAPTURE(bit);
        CHECK(payloads(before + bad + after, 5) == texts{"first", "last"});
    }
}

TEST_CASE("stream_decoder: lost bytes cost the frame they are lost from and no other") {
    auto const middle = frame_of("a payload of some length", 1);
    for (std::size_t lost = 0; lost < middle.size(); ++lost) {
        auto cut = middle;
        cut.erase(cut.begin() + static_cast<std::ptrdiff_t>(lost));
        CAPTURE(lost);
        CHECK(payloads(frame_of("x") + cut + frame_of("y", 2) + frame_of("z", 3), 4) == texts{"x", "y", "z"});
    }
}

TEST_CASE("stream_decoder: a truncated frame yields nothing, at every length; what follows its header is still found") {
    auto const whole = frame_of("payload");
    for (std::size_t n = 0; n < whole.size(); ++n)
        CHECK(payloads(bytes_t(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n)), 1).empty());
    // A frame that promises more than ever comes, with a whole frame inside of what did come.
    auto const inner = frame_of("inner");
    bytes_t outer;
    append_frame(outer, 3, 0, inner + bytes_t(100));
    outer.resize(outer.size() - 50);
    CHECK(payloads(outer, 9, false).empty());
    CHECK(payloads(outer, 9, true) == texts{"inner"});
}

TEST_CASE("stream_decoder: a length above the cap or of another version is garbage at once") {
    auto header = make_header(3, 0, {});
    SUBCASE("length") { header.length = max_payload + 1; }
    SUBCASE("version") { header.version = 2; }
    auto const raw = std::as_bytes(std::span(&header, 1));
    header.head_crc = crc32(raw.first(16));
    bytes_t data(raw.begin(), raw.end());
    stream_decoder d;
    std::vector<std::string> seen;
    d.feed(data + frame_of("next"), [&](frame_view f) { seen.push_back(text_of(f)); });
    CHECK(seen == texts{"next"});
    CHECK(d.counts().bad_headers == 1);
}

TEST_CASE("stream_decoder: the largest payload passes") {
    bytes_t data;
    append_frame(data, 3, 0, bytes_t(max_payload));
    std::size_t size = 0;
    stream_decoder d;
    for (std::size_t at = 0; at < data.size(); at += 1 << 20)
        d.feed(std::span(data).subspan(at, std::min<std::size_t>(1 << 20, data.size() - at)),
               [&](frame_view f) { size = f.payload.size(); });
    CHECK(size == max_payload);
}

TEST_CASE("stream_decoder: an announced length costs no memory") {
    auto header = make_header(3, 0, {});
    header.length = max_payload;
    header.head_crc = crc32(std::as_bytes(std::span(&header, 1)).first(16));
    stream_decoder d;
    d.feed(std::as_bytes(std::span(&header, 1)), [](frame_view) {});
    CHECK(d.pending() == sizeof header);
}

TEST_CASE("stream_decoder: frames nested in frames with bad payloads cost linear work") {
    // Each header is right and announces all that follows; none of the payloads fits its checksum.
    bytes_t data;
    constexpr std::size_t count = 40'000;
    for (std::size_t i = 0; i < count; ++i) {
        auto header = make_header(3, 0, {});
        header.length = static_cast<std::uint32_t>((count - i - 1) * sizeof header);
        header.head_crc = crc32(std::as_bytes(std::span(&header, 1)).first(16));
        header.full_crc = 1;
        auto const raw = std::as_bytes(std::span(&header, 1));
        data.insert(data.end(), raw.begin(), raw.end());
    }
    stream_decoder d;
    int frames = 0;
    d.feed(data + frame_of("end"), [&](frame_view) { ++frames; });
    CHECK(frames == 1);
    CHECK(d.counts().bad_payloads < 100); // 40,000 would be 20 GB of checksums
}

TEST_CASE("stream_decoder: jumps in the sequence are counted") {
    stream_decoder d;
    d.feed(frame_of("a", 5) + frame_of("b", 6) + frame_of("c", 9), [](frame_view) {});
    CHECK(d.counts().gaps == 1);
}
