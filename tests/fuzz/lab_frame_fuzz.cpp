// SPDX-License-Identifier: Apache-2.0
// The lab's frame stream and every message payload with any bytes: what decodes encodes back to the same bytes.
#include "ktstr/lab/frame.hpp"
#include "ktstr/lab/messages.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace {
using namespace ktstr;
using namespace ktstr::lab;

template <class M>
void check(std::span<std::byte const> payload) {
    auto const message = decode_message<M>(payload);
    if (!message)
        return;
    auto const again = encode_message(*message);
    if (!again || !std::equal(again->begin(), again->end(), payload.begin(), payload.end()))
        std::abort();
}
} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const all = std::as_bytes(std::span(data, size));
    frame_decoder decoder;
    auto const fed = decoder.feed(all, [](frame const& f) -> result<> {
        check<hello_message>(f.payload);
        check<ready_message>(f.payload);
        check<put_message>(f.payload);
        check<get_message>(f.payload);
        check<done_message>(f.payload);
        check<spawn_message>(f.payload);
        check<credit_message>(f.payload);
        check<signal_message>(f.payload);
        check<winsize_message>(f.payload);
        check<exited_message>(f.payload);
        check<dial_message>(f.payload);
        check<request_message>(f.payload);
        check<outcome_message>(f.payload);
        return {};
    });
    if (!fed && decoder.pending() != 0)
        std::abort();
    return 0;
}
