// SPDX-License-Identifier: Apache-2.0
/// \file
/// Reads of guest virtual memory: through the guest's page tables, page by page, copied once.
#pragma once

#include "ktstr/arch/x86_64/paging.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/mem/guest_memory.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

namespace ktstr {

/// Copies `out.size()` bytes from `at` on. Errors are those of `translate`, and `errc::out_of_range` for a page that is no
/// RAM; `out` then holds what was read before.
template <GuestMemory M>
[[nodiscard]] result<> read_virtual(M const& memory, x86_page_tables const& tables, gva at, std::span<std::byte> out) noexcept {
    while (!out.empty()) {
        KTSTR_TRY(auto const page, translate(memory, tables, at));
        auto const left = page.page_size - (page.address.raw & (page.page_size - 1));
        auto const piece = static_cast<std::size_t>(std::min<std::uint64_t>(left, out.size()));
        KTSTR_CHECK(read_guest(memory, page.address, out.first(piece)));
        out = out.subspan(piece);
        at = at + piece;
    }
    return {};
}

/// One `T` from `at`; it may cross a page.
template <class T, GuestMemory M>
    requires std::is_trivially_copyable_v<T>
[[nodiscard]] result<T> load_virtual(M const& memory, x86_page_tables const& tables, gva at) noexcept {
    std::byte raw[sizeof(T)];
    KTSTR_CHECK(read_virtual(memory, tables, at, raw));
    T out;
    std::memcpy(static_cast<void*>(&out), raw, sizeof(T));
    return out;
}

} // namespace ktstr
