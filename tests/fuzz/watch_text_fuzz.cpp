// SPDX-License-Identifier: Apache-2.0
/// \file
/// What to watch, from the command line or a guest: whatever parses prints as a text that parses to the same.
#include "ktstr/freeze/watch_text.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace ktstr;
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    auto const w = parse_watch(text);
    if (!w) {
        if (w.error().value > text.size())
            std::abort();
        return 0;
    }
    auto const again = to_text(*w);
    auto const back = parse_watch(again);
    if (!back || *back != *w)
        std::abort();
    if (w->size < 8 && w->when.operand >> (8U * w->size) != 0)
        std::abort();
    return 0;
}
