// SPDX-License-Identifier: Apache-2.0
/// \file
/// The `SnapshotSink` policy: where the bytes of a frozen machine go.
///
/// Contract: called by one thread, on memory that does not change meanwhile (a frozen machine or a copy-on-write view
/// of one), in this order: `begin(header)`, any number of `put(section, bytes)` with ascending offsets within a section,
/// then `commit()` or `abort()`. Everything passed is valid only during its call. Bytes that are never put read as zero.
/// After a failed call only `abort()` may follow. `incremental` says whether the sink wants only what changed since its
/// last commit. Models: `null_sink`, `memory_sink`, `file_sink` (.ktsnap), `elf_core_sink`, and around others `tee_sink`,
/// `filter_sink`.
/// Suite: tests/suites/snapshot_sink_suite.hpp.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/snapshot/image.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace ktstr {

/// One piece of a snapshot.
struct snapshot_section {
    std::string_view name{};  ///< "ram": the offset is a guest physical address.
    std::uint32_t version = 0;
    std::uint64_t offset = 0; ///< Where the bytes belong inside the section.
};

namespace detail {
template <class S>
concept snapshot_sink_calls = requires(S& s, snapshot_header const& h, snapshot_section const& n, std::span<std::byte const> b) {
    { s.begin(h) } -> std::same_as<result<>>;
    { s.put(n, b) } -> std::same_as<result<>>;
    { s.commit() } -> std::same_as<result<>>;
    { s.abort() } noexcept -> std::same_as<void>;
};
template <class S>
concept snapshot_sink_incremental = requires {
    { S::incremental } -> std::convertible_to<bool>;
};
} // namespace detail

/// A receiver of snapshots; see the contract at the top of this file.
template <class S>
concept SnapshotSink = detail::snapshot_sink_calls<S> && detail::snapshot_sink_incremental<S>;

/// Fails to compile with one sentence per requirement that `S` misses.
template <class S>
consteval bool explain_snapshot_sink() {
    static_assert(detail::snapshot_sink_calls<S>,
                  "SnapshotSink: missing begin(header), put(section, bytes), commit() or abort() noexcept");
    static_assert(detail::snapshot_sink_incremental<S>, "SnapshotSink: missing `static constexpr bool incremental`");
    return SnapshotSink<S>;
}

/// Counts bytes and keeps none.
struct null_sink {
    static constexpr bool incremental = false;
    std::uint64_t total = 0;
    [[nodiscard]] result<> begin(snapshot_header const&) noexcept {
        total = 0;
        return {};
    }
    [[nodiscard]] result<> put(snapshot_section const&, std::span<std::byte const> data) noexcept {
        total += data.size();
        return {};
    }
    [[nodiscard]] result<> commit() noexcept { return {}; }
    void abort() noexcept { total = 0; }
};
static_assert(SnapshotSink<null_sink>);

} // namespace ktstr
