// SPDX-License-Identifier: Apache-2.0
/// \file
/// SHA-256 (FIPS 180-4): the names and checksums of cached files.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace ktstr::lab {

/// Digest of everything given to `update`.
class sha256 {
public:
    void update(std::span<std::byte const> data) noexcept {
        total_ += data.size();
        while (!data.empty()) {
            if (fill_ == 0 && data.size() >= 64) {
                block(data.data());
                data = data.subspan(64);
                continue;
            }
            auto const n = data.size() < 64 - fill_ ? data.size() : 64 - fill_;
            std::memcpy(buffer_.data() + fill_, data.data(), n);
            fill_ += n;
            data = data.subspan(n);
            if (fill_ == 64) {
                block(buffer_.data());
                fill_ = 0;
            }
        }
    }
    void update(std::string_view text) noexcept { update(std::as_bytes(std::span(text.data(), text.size()))); }

    /// The digest as 64 hexadecimal digits. Nothing may be added afterwards.
    [[nodiscard]] std::string finish() {
        auto const bits = total_ * 8;
        std::array<std::byte, 72> pad{};
        pad[0] = std::byte{0x80};
        std::size_t const length = (fill_ < 56 ? 56 : 120) - fill_;
        for (std::size_t i = 0; i < 8; ++i)
            pad[length + i] = static_cast<std::byte>(bits >> (56 - 8 * i));
        update(std::span(pad).first(length + 8));
        std::string out;
        for (auto const word : state_)
            for (int shift = 28; shift >= 0; shift -= 4)
                out += "0123456789abcdef"[(word >> shift) & 15U];
        return out;
    }

private:
    void block(std::byte const* at) noexcept {
        static constexpr std::array<std::uint32_t, 64> k{
            0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
            0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
            0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
            0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
            0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
            0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
            0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
            0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
        std::array<std::uint32_t, 64> w;
        for (std::size_t i = 0; i < 16; ++i) {
            std::array<std::uint8_t, 4> b;
            std::memcpy(b.data(), at + 4 * i, 4);
            w[i] = std::uint32_t{b[0]} << 24 | std::uint32_t{b[1]} << 16 | std::uint32_t{b[2]} << 8 | b[3];
        }
        for (std::size_t i = 16; i < 64; ++i) {
            auto const s0 = std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ (w[i - 15] >> 3);
            auto const s1 = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ (w[i - 2] >> 10);
            w[i] = w[i - 16] + s0 + w[i - 7] + s1;
        }
        auto [a, b, c, d, e, f, g, h] = state_;
        for (std::size_t i = 0; i < 64; ++i) {
            auto const t1 = h + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) + ((e & f) ^ (~e & g)) + k[i] + w[i];
            auto const t2 = (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
            h = g;
            g = f;
            f = e;
            e = d + t1;
            d = c;
            c = b;
            b = a;
            a = t1 + t2;
        }
        std::array<std::uint32_t, 8> const more{a, b, c, d, e, f, g, h};
        for (std::size_t i = 0; i < 8; ++i)
            state_[i] += more[i];
    }

    std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    std::array<std::byte, 64> buffer_{};
    std::size_t fill_ = 0;
    std::uint64_t total_ = 0;
};

} // namespace ktstr::lab
