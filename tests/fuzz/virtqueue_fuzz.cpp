// SPDX-License-Identifier: Apache-2.0
/// \file
/// Feeds arbitrary guest memory to the split queue. Input: size exponent, three ring addresses in units of 16 bytes
/// (le16 each), then the content of RAM from address 0.
#include "ktstr/virtio/queue.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>

using namespace ktstr;

namespace {
alignas(4096) std::array<std::byte, 65536> ram;
descriptor_chain chain;
} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    if (size < 7)
        return 0;
    ram.fill(std::byte{0});
    std::memcpy(ram.data(), data + 7, std::min(size - 7, ram.size()));
    auto const at = [data](int i) { return gpa{16ull * (data[i] | static_cast<unsigned>(data[i + 1]) << 8)}; };
    buffer_memory const memory(ram);
    split_queue queue;
    if (!queue.enable(memory, {static_cast<std::uint16_t>(1u << (data[0] % 16)), at(1), at(3), at(5)}, virtq_max_size))
        return 0;
    for (int i = 0; i < 64; ++i) {
        auto const got = queue.pop(memory, chain);
        if (!got || !*got)
            break;
        std::uint64_t total = 0;
        for (auto const segment : chain.readable())
            total += segment.size() + (std::to_integer<unsigned>(segment.front() ^ segment.back()) & 0u);
        for (auto const segment : chain.writable()) {
            total += segment.size();
            segment.front() = segment.back() = std::byte{0x41}; // which may well be a ring
        }
        if (total != chain.readable_bytes() + chain.writable_bytes() || total > virtq_max_chain_bytes ||
            chain.head() >= queue.size())
            std::abort();
        queue.push(chain.head(), static_cast<std::uint32_t>(chain.writable_bytes()));
    }
    return 0;
}
