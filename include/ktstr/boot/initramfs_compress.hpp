// SPDX-License-Identifier: Apache-2.0
/// \file
/// The `Compressor` policy: how the base part of an initramfs is packed.
///
/// Contract: `compress(archive)` returns bytes that the guest kernel's initramfs unpacker accepts and that stay valid
/// when zeros and another archive follow; deterministic; may take long, never on a vCPU thread. `name` is a file-name
/// suffix and part of the cache key, so it must name the format and its level. Models: `store_only` here,
/// `zstd_compressor` (initramfs_zstd.hpp), `lz4_compressor` (initramfs_lz4.hpp).
/// Suite: tests/suites/compressor_suite.hpp.
#pragma once

#include "ktstr/base/error.hpp"

#include <concepts>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace ktstr {

namespace detail {
template <class C>
concept compressor_name = requires(C const& c) {
    { c.name() } noexcept -> std::same_as<std::string_view>;
};
template <class C>
concept compressor_compress = requires(C const& c, std::span<std::byte const> archive) {
    { c.compress(archive) } -> std::same_as<result<std::vector<std::byte>>>;
};
} // namespace detail

/// A packer of archives; see the contract at the top of this file.
template <class C>
concept Compressor = detail::compressor_name<C> && detail::compressor_compress<C>;

/// Fails to compile with one sentence per requirement that `C` misses.
template <class C>
consteval bool explain_compressor() {
    static_assert(detail::compressor_name<C>, "Compressor: missing `std::string_view name() const noexcept`");
    static_assert(detail::compressor_compress<C>,
                  "Compressor: missing `result<std::vector<std::byte>> compress(std::span<std::byte const>) const`");
    return Compressor<C>;
}

/// Leaves the archive as it is: the guest copies pages instead of decompressing them.
struct store_only {
    [[nodiscard]] std::string_view name() const noexcept { return "none"; }
    [[nodiscard]] result<std::vector<std::byte>> compress(std::span<std::byte const> archive) const {
        return std::vector<std::byte>(archive.begin(), archive.end());
    }
};
static_assert(Compressor<store_only>);

} // namespace ktstr
