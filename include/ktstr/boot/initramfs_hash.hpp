// SPDX-License-Identifier: Apache-2.0
/// \file
/// A fast 128-bit content hash for caches in the user's own folder. Not cryptographic: it finds accidents, not attackers.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace ktstr {

/// 128 bits that stand for a byte sequence.
struct content_hash {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    friend constexpr bool operator==(content_hash const&, content_hash const&) noexcept = default;
};

/// `hash` as 32 lower-case hexadecimal digits.
[[nodiscard]] inline std::string to_hex(content_hash const& hash) {
    std::string out(32, '0');
    for (std::size_t i = 0; i < 32; ++i) {
        auto const word = i < 16 ? hash.high : hash.low;
        out[i] = "0123456789abcdef"[(word >> (60 - 4 * (i % 16))) & 15];
    }
    return out;
}

/// Hashes bytes given in any number of pieces; where the pieces are cut makes no difference.
/// Four independent lanes of 64 bits keep one multiply each in flight, so it runs near memory speed. Each lane step is a
/// bijection of the lane for a given word and of the word for a given lane: one changed word always changes its lane.
/// The value depends on this version of the library and on nothing else (words are read little-endian).
class content_hasher {
public:
    /// Appends `data`.
    content_hasher& update(std::span<std::byte const> data) noexcept {
        total_ += data.size();
        if (held_ != 0) {
            auto const n = data.size() < sizeof block_ - held_ ? data.size() : sizeof block_ - held_;
            copy(block_ + held_, data.first(n));
            held_ += n;
            data = data.subspan(n);
            if (held_ < sizeof block_)
                return *this;
            absorb(block_);
            held_ = 0;
        }
        while (data.size() >= sizeof block_) {
            absorb(data.data());
            data = data.subspan(sizeof block_);
        }
        copy(block_, data);
        held_ = data.size();
        return *this;
    }
    /// Appends a number as 8 bytes.
    content_hasher& update(std::uint64_t number) noexcept {
        std::byte raw[8];
        for (std::size_t i = 0; i < 8; ++i)
            raw[i] = static_cast<std::byte>(number >> (8 * i));
        return update(std::span<std::byte const>(raw));
    }
    /// Appends a text with its length, so that two texts in a row cannot be mistaken for others.
    content_hasher& update(std::string_view text) noexcept {
        update(std::uint64_t{text.size()});
        return update(std::as_bytes(std::span(text.data(), text.size())));
    }

    /// The hash of all that was appended so far.
    [[nodiscard]] content_hash finish() const noexcept {
        content_hasher last = *this;
        std::memset(last.block_ + held_, 0, sizeof last.block_ - held_);
        last.absorb(last.block_);
        std::uint64_t high = total_ * k2;
        std::uint64_t low = total_ ^ k1;
        for (std::size_t i = 0; i < 4; ++i) {
            high = avalanche(high ^ last.lane_[i]) + k1;
            low = avalanche(low + last.lane_[3 - i]) ^ k2;
        }
        return {avalanche(high), avalanche(low ^ std::rotl(high, 32))};
    }

private:
    // Odd constants: the fractional parts of the square roots of 2, 3, 5 and 7.
    static constexpr std::uint64_t k1 = 0x6a09e667f3bcc909U;
    static constexpr std::uint64_t k2 = 0xbb67ae8584caa73bU;
    static constexpr std::uint64_t k3 = 0x3c6ef372fe94f82bU;
    static constexpr std::uint64_t k4 = 0xa54ff53a5f1d36f1U;

    static void copy(std::byte* to, std::span<std::byte const> from) noexcept {
        if (!from.empty())
            std::memcpy(to, from.data(), from.size());
    }
    static std::uint64_t word(std::byte const* at) noexcept {
        std::uint64_t out;
        std::memcpy(&out, at, sizeof out);
        if constexpr (std::endian::native == std::endian::big)
            out = __builtin_bswap64(out);
        return out;
    }
    static constexpr std::uint64_t avalanche(std::uint64_t x) noexcept {
        x = (x ^ (x >> 31)) * k3;
        x = (x ^ (x >> 29)) * k4;
        return x ^ (x >> 32);
    }
    void absorb(std::byte const* at) noexcept {
        for (std::size_t i = 0; i < 4; ++i)
            lane_[i] = std::rotl(lane_[i] + word(at + 8 * i) * k2, 29) * k1;
    }

    std::uint64_t lane_[4] = {k1, k2, k3, k4};
    std::uint64_t total_ = 0;
    std::byte block_[32]{};
    std::size_t held_ = 0;
};

/// The hash of `data`.
[[nodiscard]] inline content_hash hash_content(std::span<std::byte const> data) noexcept {
    return content_hasher{}.update(data).finish();
}

} // namespace ktstr
