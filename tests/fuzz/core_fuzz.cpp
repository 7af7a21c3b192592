// SPDX-License-Identifier: Apache-2.0
// Any bytes as an ELF core: what opens can be read everywhere it claims, and nowhere else.
#include "ktstr/snapshot/read_core.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace ktstr;
    auto const core = core_file::open(std::as_bytes(std::span(data, size)));
    if (!core)
        return 0;
    std::array<std::byte, 64> out{};
    if (!check_regions(core->header().ram))
        __builtin_trap();
    for (auto const& s : core->segments()) {
        auto const n = s.size < out.size() ? static_cast<std::size_t>(s.size) : out.size();
        if (!core->read(s.physical, std::span(out).first(n)) || !core->read(s.physical + (s.size - n), std::span(out).first(n)))
            __builtin_trap();
        // Beyond its end another segment may follow, or nothing.
        static_cast<void>(core->read(s.physical + (s.size - 1), out));
        static_cast<void>(core->read(s.address + (s.size - 1), out));
        static_cast<void>(core->slice(s.physical, 16));
        static_cast<void>(core->slice(s.physical, ~std::uint64_t{0}));
    }
    return 0;
}
