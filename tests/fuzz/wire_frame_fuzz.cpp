// SPDX-License-Identifier: Apache-2.0
// The stream decoder with any bytes, fed whole and in pieces: the same frames come out, and work stays bounded.
#include "ktstr/wire/stream_decoder.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const all = std::as_bytes(std::span(data, size));
    std::uint64_t whole = 0, pieces = 0;
    ktstr::wire::stream_decoder a, b;
    auto const sum = [](std::uint64_t& to) {
        return [&to](ktstr::wire::frame_view f) { to = to * 31 + f.type + f.sequence + f.payload.size() + 1; };
    };
    a.feed(all, sum(whole));
    a.finish(sum(whole));
    auto const step = size == 0 ? 1 : 1 + data[0] % 7;
    for (std::size_t at = 0; at < size; at += static_cast<std::size_t>(step))
        b.feed(all.subspan(at, std::min<std::size_t>(static_cast<std::size_t>(step), size - at)), sum(pieces));
    b.finish(sum(pieces));
    // The budget for re-reading depends on what was fed so far, so only small inputs must agree exactly.
    if (size < 4096 && whole != pieces)
        std::abort();
    if (a.counts().garbage > size || a.pending() != 0)
        std::abort();
    return 0;
}
