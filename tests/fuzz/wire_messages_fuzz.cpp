// SPDX-License-Identifier: Apache-2.0
// Any payload as any message: what decodes encodes to the same bytes again; the recorder and the judge take all of it.
#include "ktstr/scenario/builtin.hpp"
#include "ktstr/scenario/judge.hpp"
#include "ktstr/scenario/recorder.hpp"
#include "ktstr/wire/any_message.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

using namespace ktstr;

namespace {
template <class Message>
void round_trip(result<Message> const& m, std::span<std::byte const> payload) {
    if (!m)
        return;
    std::visit(
        [&](auto const& value) {
            auto const again = wire::encode_value(value);
            if (again.size() != payload.size() || !std::equal(again.begin(), again.end(), payload.begin()))
                std::abort();
        },
        *m);
}
} // namespace

// Input: frames without their headers, each a type byte, a 16-bit length and a payload; framed here so that the fuzzer
// need not find checksums.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    static plan const p = *make_builtin("cpuset-split", make_topology_plan(topology{1, 1, 4, 1}));
    evidence_recorder recorder(0);
    std::int64_t now = 0;
    std::vector<std::byte> framed;
    while (size >= 3) {
        std::uint16_t const type = data[0];
        auto const length = std::min<std::size_t>(size - 3, data[1] | data[2] << 8);
        auto const payload = std::as_bytes(std::span(data + 3, length));
        round_trip(wire::decode_guest_message({type, 0, payload}), payload);
        round_trip(wire::decode_host_message({type, 0, payload}), payload);
        framed.clear();
        wire::append_frame(framed, type, 0, payload);
        now += 1'000'000;
        auto const vcpus = [&] { return std::vector<vcpu_time>(4, {now, now / 2}); };
        recorder.feed(framed, now, vcpus, [](wire::guest_message const&) {});
        recorder.sample(now, vcpus());
        data += 3 + length;
        size -= 3 + length;
    }
    auto const v = judge(p, recorder.finish({}, now + 1, {}));
    if (v.line.empty())
        std::abort();
    return 0;
}
