// SPDX-License-Identifier: Apache-2.0
/// \file
/// A bounded first-in first-out store of bytes, allocated once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

namespace ktstr {

/// Keeps at most `capacity` bytes. Not thread-safe.
class byte_ring {
public:
    explicit byte_ring(std::size_t capacity = 0) : store_(capacity) {}

    [[nodiscard]] std::size_t size() const noexcept { return count_; }
    [[nodiscard]] std::size_t space() const noexcept { return store_.size() - count_; }
    [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
    void clear() noexcept { first_ = count_ = 0; }

    /// Appends the front of `data` that fits; how many bytes that were.
    std::size_t push(std::span<std::byte const> data) noexcept {
        auto const n = std::min(data.size(), space());
        auto const at = count_ == 0 ? first_ : (first_ + count_) % store_.size();
        auto const straight = std::min(n, store_.size() - at);
        copy(std::span(store_).subspan(at, straight), data.first(straight));
        copy(std::span(store_).first(n - straight), data.subspan(straight, n - straight));
        count_ += n;
        return n;
    }

    /// Moves the oldest bytes into the front of `to`; how many bytes that were.
    std::size_t pop(std::span<std::byte> to) noexcept {
        auto const n = std::min(to.size(), count_);
        auto const straight = std::min(n, store_.size() - first_);
        copy(to.first(straight), std::span(store_).subspan(first_, straight));
        copy(to.subspan(straight, n - straight), std::span(store_).first(n - straight));
        count_ -= n;
        first_ = n == 0 ? first_ : (first_ + n) % store_.size();
        return n;
    }

private:
    static void copy(std::span<std::byte> to, std::span<std::byte const> from) noexcept {
        if (!from.empty())
            std::memcpy(to.data(), from.data(), from.size());
    }

    std::vector<std::byte> store_;
    std::size_t first_ = 0;
    std::size_t count_ = 0;
};

} // namespace ktstr
