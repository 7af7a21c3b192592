// SPDX-License-Identifier: Apache-2.0
/// \file
/// The `GuestMemory` policy: bounds-checked access to guest physical memory.
///
/// Contract: callable from any thread while the machine's memory exists. `slice(at, n)` gives the host view of `n`
/// bytes that are contiguous in guest RAM (pieces of two NUMA nodes that touch count as contiguous), or
/// `errc::out_of_range` with the address; a slice of 0 bytes at a mapped address succeeds. The bytes behind a slice
/// belong to the guest and may change at any moment: copy once, check the copy (the helpers below do).
/// Models: `null_memory` (nothing mapped), `buffer_memory` (a span), `mmap_memory`.
/// Suite: tests/suites/guest_memory_suite.hpp.
#pragma once

#include "ktstr/base/checked.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

namespace ktstr {

namespace detail {
template <class M>
concept guest_memory_slice = requires(M const& m, gpa at, std::uint64_t n) {
    { m.slice(at, n) } noexcept -> std::same_as<result<std::span<std::byte>>>;
};
} // namespace detail

/// Guest physical memory; see the contract at the top of this file.
template <class M>
concept GuestMemory = detail::guest_memory_slice<M>;

/// Fails to compile with one sentence per requirement that `M` misses.
template <class M>
consteval bool explain_guest_memory() {
    static_assert(detail::guest_memory_slice<M>,
                  "GuestMemory: missing `result<span<byte>> slice(gpa, uint64_t) const noexcept`");
    return GuestMemory<M>;
}

/// Copies `out.size()` bytes from guest address `at`.
template <GuestMemory M>
[[nodiscard]] result<> read_guest(M const& memory, gpa at, std::span<std::byte> out) noexcept {
    KTSTR_TRY(auto const from, memory.slice(at, out.size()));
    if (!out.empty())
        std::memcpy(out.data(), from.data(), out.size());
    return {};
}

/// Copies `data` to guest address `at`.
template <GuestMemory M>
[[nodiscard]] result<> write_guest(M const& memory, gpa at, std::span<std::byte const> data) noexcept {
    KTSTR_TRY(auto const to, memory.slice(at, data.size()));
    if (!data.empty())
        std::memcpy(to.data(), data.data(), data.size());
    return {};
}

/// One `T` from guest address `at`, copied once.
template <class T, GuestMemory M>
    requires std::is_trivially_copyable_v<T>
[[nodiscard]] result<T> load_guest(M const& memory, gpa at) noexcept {
    KTSTR_TRY(auto const from, memory.slice(at, sizeof(T)));
    T out;
    std::memcpy(static_cast<void*>(&out), from.data(), sizeof(T));
    return out;
}

/// Stores `value` at guest address `at`.
template <class T, GuestMemory M>
    requires std::is_trivially_copyable_v<T>
[[nodiscard]] result<> store_guest(M const& memory, gpa at, T const& value) noexcept {
    return write_guest(memory, at, std::as_bytes(std::span<T const, 1>(&value, 1)));
}

/// A machine without RAM.
struct null_memory {
    [[nodiscard]] result<std::span<std::byte>> slice(gpa at, std::uint64_t) const noexcept {
        return fail(errc::out_of_range, "guest_memory", at.raw);
    }
};
static_assert(GuestMemory<null_memory>);

/// RAM that is one borrowed span starting at `base`: devices and readers are tested on it without KVM.
class buffer_memory {
public:
    explicit buffer_memory(std::span<std::byte> ram, gpa base = gpa{0}) noexcept : ram_(ram), base_(base) {}

    [[nodiscard]] result<std::span<std::byte>> slice(gpa at, std::uint64_t n) const noexcept {
        if (at < base_ || !fits(at - base_, n, ram_.size()))
            return fail(errc::out_of_range, "guest_memory", at.raw);
        return ram_.subspan(static_cast<std::size_t>(at - base_), static_cast<std::size_t>(n));
    }

private:
    std::span<std::byte> ram_;
    gpa base_;
};
static_assert(GuestMemory<buffer_memory>);

} // namespace ktstr
