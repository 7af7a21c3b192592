// SPDX-License-Identifier: Apache-2.0
// Any bytes as a cpio archive: the reader ends, and what it hands out lies inside the input.
#include "ktstr/boot/cpio.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const input = std::as_bytes(std::span(data, size));
    ktstr::cpio_reader in(input);
    for (;;) {
        auto const entry = in.next();
        if (!entry || !*entry)
            return 0;
        auto const& content = (*entry)->content;
        if (content.size() > size || (*entry)->name.empty() || (*entry)->name.size() >= 4096)
            __builtin_trap();
        if (!content.empty() && (content.data() < input.data() || content.data() + content.size() > input.data() + size))
            __builtin_trap();
    }
}
