// SPDX-License-Identifier: Apache-2.0
/// \file
/// Bounded reading and writing over a span of bytes: the tool every decoder and encoder is built from.
#pragma once

#include "ktstr/base/checked.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

namespace ktstr {

/// The object representation of `value` as bytes.
template <class T>
    requires std::is_trivially_copyable_v<T>
[[nodiscard]] std::span<std::byte const> bytes_of(T const& value) noexcept {
    return std::as_bytes(std::span<T const, 1>(&value, 1));
}

/// Reads front to back from borrowed bytes. Nothing is consumed by a call that fails.
class reader {
public:
    constexpr explicit reader(std::span<std::byte const> data, std::string_view where = "reader") noexcept
        : data_(data), where_(where) {}

    [[nodiscard]] constexpr std::size_t offset() const noexcept { return at_; }
    [[nodiscard]] constexpr std::size_t remaining() const noexcept { return data_.size() - at_; }
    [[nodiscard]] constexpr bool at_end() const noexcept { return remaining() == 0; }

    /// The next `n` bytes, borrowed. `errc::truncated` with the offset when there are fewer.
    [[nodiscard]] constexpr result<std::span<std::byte const>> take(std::uint64_t n) noexcept {
        if (n > remaining())
            return fail(errc::truncated, where_, at_);
        auto const out = data_.subspan(at_, static_cast<std::size_t>(n));
        at_ += static_cast<std::size_t>(n);
        return out;
    }

    /// The next `sizeof(T)` bytes as a `T`, copied once.
    template <class T>
        requires std::is_trivially_copyable_v<T>
    [[nodiscard]] result<T> get() noexcept {
        KTSTR_TRY(auto const raw, take(sizeof(T)));
        T out;
        std::memcpy(static_cast<void*>(&out), raw.data(), sizeof(T));
        return out;
    }

    /// Moves to byte `offset` of the whole input.
    [[nodiscard]] constexpr result<> seek(std::uint64_t offset) noexcept {
        if (offset > data_.size())
            return fail(errc::truncated, where_, offset);
        at_ = static_cast<std::size_t>(offset);
        return {};
    }

private:
    std::span<std::byte const> data_;
    std::string_view where_;
    std::size_t at_ = 0;
};

/// Writes front to back into borrowed bytes. Nothing is written by a call that fails.
class writer {
public:
    constexpr explicit writer(std::span<std::byte> data, std::string_view where = "writer") noexcept
        : data_(data), where_(where) {}

    [[nodiscard]] constexpr std::size_t offset() const noexcept { return at_; }
    [[nodiscard]] constexpr std::span<std::byte const> written() const noexcept { return data_.first(at_); }

    /// Appends `raw`; `errc::no_space` with the offset when it does not fit.
    [[nodiscard]] result<> put_bytes(std::span<std::byte const> raw) noexcept {
        if (raw.size() > data_.size() - at_)
            return fail(errc::no_space, where_, at_);
        if (!raw.empty())
            std::memcpy(data_.data() + at_, raw.data(), raw.size());
        at_ += raw.size();
        return {};
    }

    /// Appends the bytes of `value`.
    template <class T>
        requires std::is_trivially_copyable_v<T>
    [[nodiscard]] result<> put(T const& value) noexcept {
        return put_bytes(bytes_of(value));
    }

private:
    std::span<std::byte> data_;
    std::string_view where_;
    std::size_t at_ = 0;
};

} // namespace ktstr
