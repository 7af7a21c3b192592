// SPDX-License-Identifier: Apache-2.0
// Any bytes as a plan: what decodes is valid and encodes to the same bytes again.
#include "ktstr/scenario/plan.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const raw = std::as_bytes(std::span(data, size));
    auto const p = ktstr::decode_plan(raw);
    if (!p)
        return 0;
    auto const again = ktstr::encode_plan(*p);
    if (!again || again->size() != size || !std::equal(again->begin(), again->end(), raw.begin()))
        std::abort();
    return 0;
}
