// SPDX-License-Identifier: Apache-2.0
/// \file
/// `SnapshotSink` model that keeps snapshots in memory, for a harness that looks at them after the run.
#pragma once

#include "ktstr/base/checked.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/snapshot/kept_header.hpp"
#include "ktstr/snapshot/sink.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ktstr {

/// One snapshot in memory.
class kept_snapshot {
public:
    explicit kept_snapshot(kept_header header = {}) noexcept : header_(std::move(header)) {}

    [[nodiscard]] kept_header const& header() const noexcept { return header_; }
    /// Bytes of content that are kept.
    [[nodiscard]] std::uint64_t stored() const noexcept { return stored_; }

    /// Copies RAM from `at`; what was never put is zero. `errc::out_of_range` where there is no RAM.
    [[nodiscard]] result<> read(gpa at, std::span<std::byte> out) const noexcept {
        if (!is_ram(header_.ram, at, out.size()))
            return fail(errc::out_of_range, "kept_snapshot.read", at.raw);
        read_section("ram", at.raw, out);
        return {};
    }
    /// Copies bytes of section `name`; what was never put is zero.
    void read_section(std::string_view name, std::uint64_t offset, std::span<std::byte> out) const noexcept {
        std::fill(out.begin(), out.end(), std::byte{});
        auto const* const s = find(name);
        if (s == nullptr)
            return;
        // The first run that ends above `offset`.
        auto run = std::partition_point(s->runs.begin(), s->runs.end(),
                                        [&](auto const& r) { return r.data.size() <= offset && r.offset <= offset - r.data.size(); });
        for (; run != s->runs.end() && (run->offset <= offset || run->offset - offset < out.size()); ++run) {
            auto const from = std::max(run->offset, offset);
            auto const n = std::min<std::uint64_t>(run->data.size() - (from - run->offset), out.size() - (from - offset));
            std::copy_n(run->data.begin() + static_cast<std::ptrdiff_t>(from - run->offset), n,
                        out.begin() + static_cast<std::ptrdiff_t>(from - offset));
        }
    }
    /// The first byte of RAM at or above `at` that was put, rounded down to its page.
    [[nodiscard]] std::optional<gpa> next_stored(gpa at) const noexcept {
        if (auto const* const s = find("ram"))
            for (auto const& r : s->runs)
                if (r.offset + r.data.size() > at.raw)
                    return gpa{align_down(std::max(r.offset, at.raw), 4096)};
        return std::nullopt;
    }

    /// Appends to a section; offsets must ascend in each (`errc::invalid_argument`).
    [[nodiscard]] result<> put(snapshot_section const& section, std::span<std::byte const> data) {
        auto* s = const_cast<kept_section*>(find(section.name));
        if (s == nullptr)
            s = &sections_.emplace_back(kept_section{std::string(section.name), section.version, {}});
        if (data.empty())
            return {};
        auto const end = s->runs.empty() ? 0 : s->runs.back().offset + s->runs.back().data.size();
        if (section.offset < end || !checked_add<std::uint64_t>(section.offset, data.size()))
            return fail(errc::invalid_argument, "kept_snapshot.offset", section.offset);
        if (s->runs.empty() || section.offset != end)
            s->runs.push_back({section.offset, {}});
        auto& run = s->runs.back().data;
        run.insert(run.end(), data.begin(), data.end());
        stored_ += data.size();
        return {};
    }

private:
    struct kept_run {
        std::uint64_t offset;
        std::vector<std::byte> data;
    };
    struct kept_section {
        std::string name;
        std::uint32_t version;
        std::vector<kept_run> runs;
    };
    [[nodiscard]] kept_section const* find(std::string_view name) const noexcept {
        for (auto const& s : sections_)
            if (s.name == name)
                return &s;
        return nullptr;
    }

    kept_header header_;
    std::vector<kept_section> sections_;
    std::uint64_t stored_ = 0;
};

/// Keeps every snapshot that was committed, oldest first. References to them stay valid until the sink goes.
class memory_sink {
public:
    static constexpr bool incremental = false;

    /// Content of all snapshots together stays at or below `limit` bytes; `put` fails with `errc::no_space` beyond.
    explicit memory_sink(bytes limit = bytes{1 * GiB}) noexcept : limit_(limit) {}

    [[nodiscard]] result<> begin(snapshot_header const& h) {
        at_hand_.emplace(kept_header::from(h));
        return {};
    }
    [[nodiscard]] result<> put(snapshot_section const& section, std::span<std::byte const> data) {
        if (!at_hand_)
            return fail(errc::invalid_argument, "memory_sink.put_without_begin");
        if (data.size() > limit_.raw - used_ - at_hand_->stored())
            return fail(errc::no_space, "memory_sink.limit", limit_.raw);
        return at_hand_->put(section, data);
    }
    [[nodiscard]] result<> commit() {
        if (!at_hand_)
            return fail(errc::invalid_argument, "memory_sink.commit_without_begin");
        used_ += at_hand_->stored();
        all_.push_back(*std::move(at_hand_));
        at_hand_.reset();
        return {};
    }
    void abort() noexcept { at_hand_.reset(); }

    [[nodiscard]] std::deque<kept_snapshot> const& all() const noexcept { return all_; }
    /// The last snapshot whose tag is `name`, or null.
    [[nodiscard]] kept_snapshot const* find(std::string_view name) const noexcept {
        for (auto at = all_.rbegin(); at != all_.rend(); ++at)
            if (at->header().tag == name)
                return &*at;
        return nullptr;
    }

private:
    bytes limit_;
    std::uint64_t used_ = 0;
    std::optional<kept_snapshot> at_hand_;
    std::deque<kept_snapshot> all_;
};
static_assert(SnapshotSink<memory_sink>);

} // namespace ktstr
