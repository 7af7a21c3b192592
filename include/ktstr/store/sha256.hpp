// SPDX-License-Identifier: Apache-2.0
/// \file
/// SHA-256 (FIPS 180-4), for the checksums of the kernel store.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/sys/fd.hpp"
#include "ktstr/sys/io.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ktstr {

/// Hashes bytes as they come.
class sha256 {
public:
    using digest = std::array<std::uint8_t, 32>;

    /// Adds `data` to the message.
    void update(std::span<std::byte const> data) noexcept {
        total_ += data.size();
        while (!data.empty()) {
            if (filled_ == 0 && data.size() >= block_.size()) {
                compress(data.data());
                data = data.subspan(block_.size());
                continue;
            }
            auto const n = std::min(data.size(), block_.size() - filled_);
            std::memcpy(block_.data() + filled_, data.data(), n);
            filled_ += n;
            data = data.subspan(n);
            if (filled_ == block_.size()) {
                compress(block_.data());
                filled_ = 0;
            }
        }
    }
    void update(std::string_view text) noexcept { update(std::as_bytes(std::span(text.data(), text.size()))); }

    /// The digest of everything added; the object is used up.
    [[nodiscard]] digest finish() noexcept {
        auto const bits = total_ * 8;
        std::array<std::byte, 72> pad{};
        pad[0] = std::byte{0x80};
        auto const zeros = (filled_ < 56 ? 56 : 120) - filled_;
        for (std::size_t i = 0; i < 8; ++i)
            pad[zeros + i] = static_cast<std::byte>(bits >> (56 - 8 * i));
        update(std::span(pad).first(zeros + 8));
        digest out{};
        for (std::size_t i = 0; i < out.size(); ++i)
            out[i] = static_cast<std::uint8_t>(state_[i / 4] >> (24 - 8 * (i % 4)));
        return out;
    }

private:
    static constexpr std::array<std::uint32_t, 64> round_constants{
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

    void compress(std::byte const* block) noexcept {
        std::array<std::uint32_t, 64> w;
        for (std::size_t i = 0; i < 16; ++i) {
            std::uint32_t word = 0;
            std::memcpy(&word, block + 4 * i, sizeof word);
            w[i] = std::endian::native == std::endian::little ? __builtin_bswap32(word) : word;
        }
        for (std::size_t i = 16; i < 64; ++i) {
            auto const a = std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ (w[i - 15] >> 3);
            auto const b = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ (w[i - 2] >> 10);
            w[i] = w[i - 16] + a + w[i - 7] + b;
        }
        auto s = state_;
        for (std::size_t i = 0; i < 64; ++i) {
            auto const e1 = std::rotr(s[4], 6) ^ std::rotr(s[4], 11) ^ std::rotr(s[4], 25);
            auto const choice = (s[4] & s[5]) ^ (~s[4] & s[6]);
            auto const t1 = s[7] + e1 + choice + round_constants[i] + w[i];
            auto const a1 = std::rotr(s[0], 2) ^ std::rotr(s[0], 13) ^ std::rotr(s[0], 22);
            auto const majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
            s = {t1 + a1 + majority, s[0], s[1], s[2], s[3] + t1, s[4], s[5], s[6]};
        }
        for (std::size_t i = 0; i < state_.size(); ++i)
            state_[i] += s[i];
    }

    std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    std::array<std::byte, 64> block_{};
    std::size_t filled_ = 0;
    std::uint64_t total_ = 0;
};

/// `digest` as 64 lower-case hexadecimal digits.
[[nodiscard]] inline std::string to_hex(sha256::digest const& digest) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    for (auto const b : digest) {
        out += digits[b >> 4];
        out += digits[b & 15];
    }
    return out;
}

/// The SHA-256 of `data` in hexadecimal.
[[nodiscard]] inline std::string sha256_hex(std::span<std::byte const> data) {
    sha256 hash;
    hash.update(data);
    return to_hex(hash.finish());
}
/// The SHA-256 of `text` in hexadecimal.
[[nodiscard]] inline std::string sha256_hex(std::string_view text) {
    return sha256_hex(std::as_bytes(std::span(text.data(), text.size())));
}

/// The SHA-256 of a whole file in hexadecimal.
[[nodiscard]] inline result<std::string> sha256_file(char const* path) {
    KTSTR_TRY(auto const fd, unique_fd::open(path, O_RDONLY));
    std::vector<std::byte> buffer(256 * 1024);
    sha256 hash;
    for (;;) {
        KTSTR_TRY(auto const n, read_full(fd.get(), buffer));
        hash.update(std::span(buffer).first(n));
        if (n < buffer.size())
            return to_hex(hash.finish());
    }
}

} // namespace ktstr
