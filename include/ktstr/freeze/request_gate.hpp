// SPDX-License-Identifier: Apache-2.0
/// \file
/// What the guest asks of the host, looked at before anybody acts on it: order, duplicates, names, floods. Pure.
#pragma once

#include "ktstr/base/units.hpp"
#include "ktstr/wire/messages.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace ktstr {

/// Bounds of what a guest may ask for.
struct request_limits {
    std::uint32_t per_second = 100;  ///< Requests in the long run.
    std::uint32_t burst = 32;        ///< At once.
    std::uint32_t waiting = 16;      ///< Not yet answered.
    std::uint32_t refusals_per_second = 100; ///< Beyond that a flood is not even answered.
};

/// What became of a request when it came in.
enum class request_verdict : std::uint8_t {
    accepted, ///< `next` gives it when its turn comes.
    refused,  ///< To be answered with `refusal`.
    dropped,  ///< One of a flood; not answered.
};

/// A bucket that fills at a rate and is emptied by use. Counts in billionths, so no rate is lost to rounding.
class token_bucket {
public:
    constexpr token_bucket(std::uint32_t per_second, std::uint32_t depth) noexcept
        : rate_(per_second), depth_(std::uint64_t{depth} * unit), level_(depth_) {}
    /// Takes one token at `now`; false when there is none. A clock that goes back fills nothing.
    constexpr bool take(nanos now) noexcept {
        if (!started_ || now > last_) {
            if (started_) {
                auto const passed = std::min<std::uint64_t>(
                    static_cast<std::uint64_t>(now.raw) - static_cast<std::uint64_t>(last_.raw), 3600 * unit);
                level_ = std::min(depth_, level_ + std::min(passed * rate_, depth_));
            }
            last_ = now;
            started_ = true;
        }
        if (level_ < unit)
            return false;
        level_ -= unit;
        return true;
    }

private:
    static constexpr std::uint64_t unit = 1'000'000'000;
    std::uint64_t rate_;
    std::uint64_t depth_;
    std::uint64_t level_;
    nanos last_{};
    bool started_ = false;
};

/// The host's side of snapshot requests. One thread.
class request_gate {
public:
    explicit request_gate(request_limits const& limits = {}) noexcept
        : limits_(limits), requests_(limits.per_second, limits.burst),
          refusals_(limits.refusals_per_second, limits.refusals_per_second) {}

    /// Takes in one request. Hold it against `next`; a refused one has its reason in `refusal`.
    [[nodiscard]] request_verdict submit(wire::snapshot_request request, nanos now) {
        if (!requests_.take(now))
            return refuse("too many snapshot requests", now);
        if (seen(request.request_id))
            return refuse("this request id was used before", now);
        if (auto const why = bad_tag(request); !why.empty())
            return refuse(why, now);
        if (waiting_.size() >= limits_.waiting)
            return refuse("too many snapshot requests wait", now);
        remember(request.request_id);
        waiting_.push_back(std::move(request));
        ++accepted_;
        return request_verdict::accepted;
    }
    /// Why the last refused request was.
    [[nodiscard]] std::string_view refusal() const noexcept { return refusal_; }

    /// From now on captures can be taken; watchpoints can be armed.
    void captures_ready() noexcept { capture_ = true; }
    void watches_ready() noexcept { watch_ = true; }

    /// The oldest request, when the host is ready for it. Nobody overtakes: behind a request that must wait all wait.
    [[nodiscard]] std::optional<wire::snapshot_request> next() {
        if (waiting_.empty() || !(waiting_.front().kind == wire::snapshot_kind::watch ? watch_ : capture_))
            return std::nullopt;
        auto out = std::move(waiting_.front());
        waiting_.pop_front();
        return out;
    }
    /// The oldest request, ready or not: at the end of a run each is answered with an error.
    [[nodiscard]] std::optional<wire::snapshot_request> abandon() {
        if (waiting_.empty())
            return std::nullopt;
        auto out = std::move(waiting_.front());
        waiting_.pop_front();
        return out;
    }

    [[nodiscard]] std::size_t waiting() const noexcept { return waiting_.size(); }
    [[nodiscard]] std::uint64_t accepted() const noexcept { return accepted_; }
    [[nodiscard]] std::uint64_t refused() const noexcept { return refused_; }
    [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_; }

private:
    request_verdict refuse(std::string_view why, nanos now) noexcept {
        refusal_ = why;
        if (!refusals_.take(now)) {
            ++dropped_;
            return request_verdict::dropped;
        }
        ++refused_;
        return request_verdict::refused;
    }

    [[nodiscard]] static std::string_view bad_tag(wire::snapshot_request const& r) noexcept {
        if (r.tag.empty())
            return "the tag is empty";
        if (r.tag.size() > wire::max_snapshot_tag)
            return "the tag is longer than 63 bytes";
        if (!std::ranges::all_of(r.tag, [](char c) { return c > ' ' && c < '\x7f'; }))
            return "the tag has a character that is not printable ASCII";
        if (r.kind != wire::snapshot_kind::capture)
            return {};
        // It becomes part of a file's name.
        auto const plain = [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
        };
        if (!std::ranges::all_of(r.tag, plain) || r.tag.front() == '.')
            return "a snapshot's name is letters, digits, and . _ - (not first: .)";
        return {};
    }

    [[nodiscard]] bool seen(std::uint32_t id) const noexcept {
        return std::ranges::find(recent_.begin(), recent_.begin() + static_cast<std::ptrdiff_t>(recent_used_), id) !=
               recent_.begin() + static_cast<std::ptrdiff_t>(recent_used_);
    }
    void remember(std::uint32_t id) noexcept {
        recent_[recent_next_] = id;
        recent_next_ = (recent_next_ + 1) % recent_.size();
        recent_used_ = std::min(recent_used_ + 1, recent_.size());
    }

    request_limits limits_;
    token_bucket requests_;
    token_bucket refusals_;
    std::deque<wire::snapshot_request> waiting_;
    std::array<std::uint32_t, 256> recent_{}; ///< Ids of the last accepted requests; an older one may come again.
    std::size_t recent_next_ = 0;
    std::size_t recent_used_ = 0;
    std::string_view refusal_{};
    std::uint64_t accepted_ = 0;
    std::uint64_t refused_ = 0;
    std::uint64_t dropped_ = 0;
    bool capture_ = false;
    bool watch_ = false;
};

} // namespace ktstr
